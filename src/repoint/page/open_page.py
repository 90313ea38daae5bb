"""Open the page: request a link from the running server, or start a server first."""

from __future__ import annotations

import html
import os
import stat
import time
from collections.abc import Mapping
from pathlib import Path

from repoint.device.os_errors import explained
from repoint.fs.durable import write_durably
from repoint.host.interpreter import module_command
from repoint.host.run import clean_environment, find_program, start_detached
from repoint.page.auth.errors import PageNotOpenedError
from repoint.page.control_socket import request_link
from repoint.page.page_store import PageStore

_START_TIMEOUT = 20.0
"""Seconds to wait for a server to start."""
_POLL_INTERVAL = 0.03

_REDIRECT = """<!doctype html>
<meta charset="utf-8">
<meta name="referrer" content="no-referrer">
<meta http-equiv="refresh" content="0;url={link}">
<title>Repoint</title>
<a href="{link}">Repoint</a>
"""


def link_to(store: Path, *, uid: int | None = None) -> str:
    """Return a one-time link to the page of a device.

    If neither systemd nor another server listens, start a server that stops when idle.

    Args:
        store: The device's store.
        uid: The account that the page is for, if root opens it for another account.

    Raises:
        PageNotOpenedError: The server does not start, or refuses.
        StoreWriteError: The account may not write to the store.
    """
    page_store = PageStore(store.absolute())
    link = request_link(page_store.socket, uid)
    return link if link is not None else _start(page_store, uid)


def open_in_browser(link: str, environment: Mapping[str, str]) -> bool:
    """Open a link in the person's browser, if this process runs in a desktop session.

    Other accounts can read the command line of the browser. So it opens a private file, which leads
    to the link. Root opens none: a browser belongs to the account of its session.

    Returns:
        Whether the link was passed to the desktop.
    """
    program = find_program("xdg-open")
    has_desktop = environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY")
    if program is None or not has_desktop or os.geteuid() == 0:
        return False
    file = write_link_file(link, environment)
    if file is None:
        return False
    start_detached([program, file.as_uri()], Path(os.devnull), environment)
    return True


def write_link_file(link: str, environment: Mapping[str, str]) -> Path | None:
    """Write a file that leads a browser to a link, and that only this account may read.

    Returns:
        The file. None if this login session has no private folder.
    """
    folder = _private_folder(environment)
    if folder is None:
        return None
    file = folder / "repoint-settings.html"
    write_durably(file, _REDIRECT.format(link=html.escape(link)).encode(), mode=0o600)
    return file


def _private_folder(environment: Mapping[str, str]) -> Path | None:
    """Return the account's folder for this login session (pam_systemd). None if it has none."""
    folder = Path(environment.get("XDG_RUNTIME_DIR", ""))
    try:
        status = folder.lstat()
    except OSError:
        return None
    private = status.st_uid == os.geteuid() and not stat.S_IMODE(status.st_mode) & 0o077
    return folder if folder.is_absolute() and stat.S_ISDIR(status.st_mode) and private else None


def _start(store: PageStore, uid: int | None) -> str:
    with explained(f"start the Settings page of {store.device_store}"), store.locked():
        # Another command may have started the server while we waited for the lock.
        link = request_link(store.socket, uid)
        if link is not None:
            return link
        log = store.folder / "log"
        log.unlink(missing_ok=True)
        command = module_command("repoint.page", "--store", str(store.device_store))
        pid = start_detached(command, log, clean_environment())
        deadline = time.monotonic() + _START_TIMEOUT
        while time.monotonic() < deadline:
            link = request_link(store.socket, uid)
            if link is not None:
                return link
            if os.waitpid(pid, os.WNOHANG)[0]:
                break
            time.sleep(_POLL_INTERVAL)
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    reason = f": {lines[-1].removeprefix('repoint: ')}" if lines else ""
    raise PageNotOpenedError(
        f"The Settings page did not start{reason}", hint=f"See {log}, or use the commands"
    )
