"""Opening the page: ask whoever serves it for a link, or start the server first."""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from repoint.device.os_errors import explained
from repoint.page.auth.errors import CannotOpenError
from repoint.page.control_socket import ask_for_link
from repoint.page.page_store import PageStore

_SECONDS_TO_START = 20.0


def link_to(store: Path, *, uid: int | None = None) -> str:
    """A one-time link to the page of a store.

    Where systemd or another server listens, it is asked; else a server is started that ends by
    itself.

    Args:
        store: The device's store.
        uid: The account that the page is for, where root opens it for somebody else.

    Raises:
        CannotOpenError: The server does not start, or refuses.
        CannotWriteError: The person may not change the store.
    """
    place = PageStore(store.absolute())
    link = ask_for_link(place.socket, uid)
    return link if link is not None else _start(place, uid)


def show(link: str, environment: Mapping[str, str]) -> bool:
    """Open a link in the person's browser, where the person is at a desktop of this machine.

    Returns:
        Whether it was handed to the desktop.
    """
    program = shutil.which("xdg-open")
    at_desktop = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if program is None or not at_desktop:
        return False
    _spawn([program, link], dict(environment), os.devnull)
    return True


def _start(place: PageStore, uid: int | None) -> str:
    with explained(f"start the Settings page of {place.store}"), place.locked():
        # Another command may have started it while we waited.
        link = ask_for_link(place.socket, uid)
        if link is not None:
            return link
        log = place.folder / "log"
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "repoint.page", "--store", str(place.store)]
        pid = _spawn(command, dict(os.environ), str(log))
        deadline = time.monotonic() + _SECONDS_TO_START
        while time.monotonic() < deadline:
            link = ask_for_link(place.socket, uid)
            if link is not None:
                return link
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(0.03)
    said = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    why = f": {said[-1].removeprefix('repoint: ')}" if said else ""
    raise CannotOpenError(
        f"The Settings page did not start{why}", hint=f"Look into {log}, or use the commands"
    )


def _spawn(command: list[str], environment: dict[str, str], log: str) -> int:
    """Start a program that outlives us, in a session of its own."""
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    return os.posix_spawn(
        command[0],
        command,
        environment,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, appending, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
