"""Installation and removal of the units, and lines for cron on machines without systemd."""

from __future__ import annotations

import contextlib
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
from repoint.device.store.records import GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.strategy import strategy_type
from repoint.fs.durable import write_durably
from repoint.host.interpreter import isolation
from repoint.host.systemd.services import Systemd, systemctl
from repoint.model.errors import RepointError


class UnitsError(RepointError):
    """systemd rejects the units, or cannot be reached."""


@dataclass(frozen=True)
class UnitChange:
    """The changes that an installation or a removal makes.

    Attributes:
        files: The content of each file to write; None for a file to remove.
        before: Commands to run before the files change.
        after: Commands to run after the files changed.
    """

    files: dict[Path, str | None]
    before: tuple[tuple[str, ...], ...] = ()
    after: tuple[tuple[str, ...], ...] = ()


def setup_for(store: Store, *, user: bool) -> Setup:
    """Return the setup of this device: its store, this interpreter, and what is enrolled now."""
    points: list[GraftPoint] = []
    for state in store.enrolled():
        with contextlib.suppress(RepointError):  # the units serve the other products
            points += state.documents.enrolment().grafts
    trees = tuple(
        path for point in points for path in strategy_type(point.strategy).writable_paths(point)
    )
    return Setup(Path(sys.executable), store.path, trees, user, isolation())


def unit_folder(user: bool) -> Path:
    """Return the folder for the units of the administrator, or of this account."""
    if not user:
        return Path("/etc/systemd/system")
    config = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(config).expanduser() / "systemd/user"


def plan_installation(setup: Setup, folder: Path, desktops: Path) -> UnitChange:
    """Return what `repoint agent install` changes.

    Args:
        setup: What the units are for.
        folder: The folder for units.
        desktops: The folder for units of every session, for the system's store.
    """
    files: dict[Path, str | None] = {folder / n: text for n, text in unit_files(setup).items()}
    user = setup.user
    after = [
        systemctl("daemon-reload", user=user),
        systemctl("enable", "--now", TIMER, PAGE_SOCKET, user=user),
        systemctl("enable", START, user=user),
    ]
    if not setup.user:
        # The update run of a user's store notifies that user; the system's must reach everyone.
        files |= {desktops / name: text for name, text in desktop_files(setup).items()}
        after.append(systemctl("--global", "enable", TELL_PATH))
    return UnitChange(files, after=tuple(after))


def plan_removal(user: bool, folder: Path, desktops: Path) -> UnitChange:
    """Return what `repoint agent uninstall` changes; see `plan_installation`."""
    names = [AGENT, TIMER, ACTIVATE, START, PAGE, PAGE_SOCKET]
    paths = [folder / name for name in names]
    before = [
        systemctl("disable", "--now", TIMER, PAGE_SOCKET, PAGE, user=user),
        systemctl("disable", START, user=user),
    ]
    if not user:
        paths += [desktops / TELL, desktops / TELL_PATH]
        before.append(systemctl("--global", "disable", TELL_PATH))
    files: dict[Path, str | None] = {path: None for path in paths if path.exists()}
    if not files:
        return UnitChange({})
    return UnitChange(files, tuple(before), (systemctl("daemon-reload", user=user),))


def apply(change: UnitChange, systemd: Systemd) -> None:
    """Write or remove the files, and run the commands.

    Raises:
        UnitsError: A command fails.
        StoreWriteError: A file cannot be written.
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
    """Return the lines for a crontab, for machines without systemd.

    Each machine has a minute of its own, which spreads the load of a fleet.
    """
    identity = Path("/etc/machine-id")
    seed = identity.read_bytes() if identity.exists() else os.uname().nodename.encode()
    minute = zlib.crc32(seed + os.fsencode(setup.store)) % 60
    account = "" if setup.user else "root  "
    update = _for_cron(setup, "run-once", "--if-due")
    return [
        f"{minute} * * * *  {account}{update} >/dev/null",
        f"@reboot  {account}{_for_cron(setup, 'activate')} >/dev/null",
    ]


def crontab_name(user: bool) -> str:
    """Return the name of the crontab for those lines."""
    return "your crontab (`crontab -e`)" if user else "/etc/cron.d/repoint"


def _for_cron(setup: Setup, *arguments: str) -> str:
    words = ("-m", "repoint", "agent", *arguments, "--store", str(setup.store))
    # crontab(5): an unescaped percent sign ends the command.
    return " ".join(
        quoted(word).replace("%%", "\\%").replace("$$", "\\$")
        for word in (str(setup.python), *setup.isolation, *words)
    )


def _run(systemd: Systemd, command: Sequence[str], *, may_fail: bool = False) -> None:
    result = systemd.execute(command)
    if not result.succeeded and not may_fail:
        raise UnitsError(
            f"`{' '.join(command)}` fails: {result.detail or result.reason}",
            hint="The unit files are written; correct that, then run `repoint agent install` again",
        )
