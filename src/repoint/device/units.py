"""Which systemd service a process belongs to, and stopping and starting it."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_MANAGER = re.compile(r"user@(\d+)\.service")

# Desktops start programs in units of this form; such a unit is gone when the program ends, so that
# it cannot be started again (the desktop specification "XDG standardization for applications").
# Our own are no programs either, but what a restart has started may live in them.
_NO_SERVICES = ("app-", "repoint-")

SECONDS = 120.0
"""How long a service may take to stop or start."""


@dataclass(frozen=True)
class Unit:
    """A service of systemd.

    Attributes:
        name: Its name, such as ``kiosk.service``.
        user: The account whose own systemd runs it; nothing for the system's.
    """

    name: str
    user: int | None = None


def unit_of(pid: int, *, proc: Path = Path("/proc")) -> Unit | None:
    """The service that a process belongs to, if it is one that can be started again."""
    try:
        lines = (proc / str(pid) / "cgroup").read_text(errors="replace").splitlines()
    except OSError:
        return None
    # cgroups(7): "0::/path" in version 2, "N:name=systemd:/path" in version 1.
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        if controllers in ("", "name=systemd"):
            found = _service(path.split("/"))
            if found is not None:
                return found
    return None


def stop_unit(unit: Unit) -> str:
    """Stop a service; returns why it could not be stopped, or nothing."""
    return _systemctl(unit, "stop")


def start_unit(unit: Unit) -> str:
    """Start a service; returns why it could not be started, or nothing."""
    return _systemctl(unit, "start")


def _service(parts: list[str]) -> Unit | None:
    manager = next((match for part in parts if (match := _MANAGER.fullmatch(part))), None)
    below = parts[parts.index(manager.group()) + 1 :] if manager else parts
    name = next((part for part in reversed(below) if part.endswith(".service")), None)
    if name is None or name.startswith(_NO_SERVICES):
        return None
    return Unit(name, int(manager[1]) if manager else None)


def _systemctl(unit: Unit, verb: str) -> str:
    program = shutil.which("systemctl")
    if program is None:
        return "there is no systemctl"
    whose = [] if unit.user is None else ["--user", f"--machine={unit.user}@.host"]
    try:
        done = subprocess.run(
            [program, *whose, "--no-ask-password", verb, "--", unit.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"it took longer than {SECONDS:.0f} seconds"
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else "systemctl failed")
