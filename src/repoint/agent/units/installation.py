"""Putting the units in place and taking them away; lines for cron where systemd is not."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.agent.units.unit_files import (
    ACTIVATE,
    AGENT,
    PAGE,
    PAGE_SOCKET,
    START,
    TELL,
    TELL_PATH,
    TIMER,
    Setup,
    desktop_files,
    quoted,
    unit_files,
)
from repoint.device.os_errors import explained
from repoint.device.store.store import Store
from repoint.fs.durable import write_durably
from repoint.host.systemd import Systemd, systemctl
from repoint.model.errors import RepointError


class UnitsError(RepointError):
    """systemd refuses the units, or cannot be reached."""


@dataclass(frozen=True)
class UnitChange:
    """What putting in place, or taking away, comes to.

    Attributes:
        files: What is written, with its content; or removed, where that is nothing.
        before: Commands to run before.
        after: Commands to run after.
    """

    files: dict[Path, str | None]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()


def setup_for(store: Store, *, user: bool) -> Setup:
    """The setup of this device: its store, this interpreter, and what is enrolled now."""
    enrolments = [state.documents.enrolment() for state in store.enrolled()]
    points = [point for enrolment in enrolments for point in enrolment.grafts]
    # A component of the system is merged over files that no service of ours writes to.
    trees = tuple(Path(point.path) for point in points if point.strategy == "tree")
    return Setup(Path(sys.executable), store.path, trees, user)


def units_in(user: bool) -> Path:
    """The folder of the administrator's, or of the person's own, units."""
    if not user:
        return Path("/etc/systemd/system")
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "systemd/user"


def installation(setup: Setup, folder: Path, desktops: Path) -> UnitChange:
    """What `repoint agent install` does.

    Args:
        setup: What the units are for.
        folder: The folder for units.
        desktops: The folder for the units of everybody's session, for the system's store.
    """
    files: dict[Path, str | None] = {folder / n: text for n, text in unit_files(setup).items()}
    user = setup.user
    after = [
        systemctl("daemon-reload", user=user),
        systemctl("enable", "--now", TIMER, PAGE_SOCKET, user=user),
        systemctl("enable", START, user=user),
    ]
    if not setup.user:
        # A person's own round tells that person; the system's has to reach everybody.
        files |= {desktops / name: text for name, text in desktop_files(setup).items()}
        after.append(systemctl("--global", "enable", TELL_PATH))
    return UnitChange(files, after=tuple(after))


def removal(user: bool, folder: Path, desktops: Path) -> UnitChange:
    """What `repoint agent uninstall` does; see `installation`."""
    names = [AGENT, TIMER, ACTIVATE, START, PAGE, PAGE_SOCKET]
    places = [folder / name for name in names]
    before = [
        systemctl("disable", "--now", TIMER, PAGE_SOCKET, PAGE, user=user),
        systemctl("disable", START, user=user),
    ]
    if not user:
        places += [desktops / TELL, desktops / TELL_PATH]
        before.append(systemctl("--global", "disable", TELL_PATH))
    found: dict[Path, str | None] = {place: None for place in places if place.exists()}
    return (
        UnitChange(found, tuple(before), (systemctl("daemon-reload", user=user),))
        if found
        else UnitChange({})
    )


def apply(change: UnitChange, systemd: Systemd) -> None:
    """Write or remove the files, and run the commands.

    Raises:
        UnitsError: A command fails.
        CannotWriteError: There is no right to write.
    """
    for command in change.before:
        _run(systemd, command, may_fail=True)  # a unit may be gone, or was never enabled
    for path, text in change.files.items():
        with explained(f"write {path}"):
            if text is None:
                path.unlink(missing_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            write_durably(path, text.encode())
    for command in change.after:
        _run(systemd, command)


def cron_lines(setup: Setup) -> list[str]:
    """Lines for a crontab, for machines without systemd.

    The minute is this machine's own, so that a fleet does not come at once.
    """
    identity = Path("/etc/machine-id")
    seed = identity.read_bytes() if identity.exists() else os.uname().nodename.encode()
    minute = zlib.crc32(seed + os.fsencode(setup.store)) % 60
    who = "" if setup.user else "root  "
    rounds = _for_cron(setup, "run-once", "--if-due")
    return [
        f"{minute} * * * *  {who}{rounds} >/dev/null",
        f"@reboot  {who}{_for_cron(setup, 'activate')} >/dev/null",
    ]


def cron_place(user: bool) -> str:
    """Where those lines belong."""
    return "your crontab (`crontab -e`)" if user else "/etc/cron.d/repoint"


def _for_cron(setup: Setup, *arguments: str) -> str:
    words = (str(setup.python), "-m", "repoint", "agent", *arguments, "--store", str(setup.store))
    # crontab(5): an unescaped percent sign ends the command.
    return " ".join(quoted(word).replace("%%", "\\%").replace("$$", "\\$") for word in words)


def _run(systemd: Systemd, command: Sequence[str], *, may_fail: bool = False) -> None:
    result = systemd.execute(command)
    if not result.succeeded and not may_fail:
        raise UnitsError(
            f"`{' '.join(command)}` fails: {result.detail or result.reason}",
            hint="The units are written; put that right, then run `repoint agent install` again",
        )
