"""systemd's services: which one a process belongs to, how it goes, and stopping and starting it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

_MANAGER = re.compile(r"user@(\d+)\.service")

# Desktops start programs in units of this form; such a unit is gone when the program ends, so that
# it cannot be started again (the desktop specification "XDG standardization for applications").
# Our own are no programs either, but what a restart has started may live in them.
_NO_SERVICES = ("app-", "repoint-")

SECONDS = 120.0
"""How long a service may take to stop or start."""

_BOOTED = Path("/run/systemd/system")
"""There exactly where systemd runs the machine (sd_booted(3))."""

_SHOWN = ("ActiveState", "Job", "StateChangeTimestampMonotonic", "Result")

MachineState = Literal["starting", "running", "stopping"]


@dataclass(frozen=True)
class Unit:
    """A service of systemd.

    Attributes:
        name: Its name, such as ``kiosk.service``.
        user: The account whose own systemd runs it; nothing for the system's.
    """

    name: str
    user: int | None = None


@dataclass(frozen=True)
class ServiceState:
    """How a service goes.

    Attributes:
        unit: The service.
        state: What systemd calls its ActiveState (org.freedesktop.systemd1(5)); ``unknown`` where
            it does not answer.
        steady: Seconds since it came into that state.
        queued: Whether systemd is still to start or stop it.
        result: Why its last run ended; ``success`` where nothing was wrong.
    """

    unit: Unit
    state: str
    steady: float = 0.0
    queued: bool = False
    result: str = "success"


def is_booted() -> bool:
    """Whether systemd runs this machine."""
    return _BOOTED.is_dir()


def named_in(command: Sequence[str]) -> tuple[Unit, ...]:
    """The services of the system that a command restarts, such as ``systemctl restart kiosk``."""
    words = [word for word in command[1:] if not word.startswith("-")]
    if not command or Path(command[0]).name != "systemctl" or len(words) < 2:
        return ()
    names = (word if "." in word else f"{word}.service" for word in words[1:])
    return tuple(Unit(name) for name in names if name.endswith(".service"))


def look_at(units: Iterable[Unit]) -> list[ServiceState]:
    """How services go."""
    found = []
    for unit in units:
        said = _ask(unit.user, "show", f"--property={','.join(_SHOWN)}", "--", unit.name)
        told = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
        now = time.monotonic()  # the clock of systemd's timestamps as well
        since = int(told.get("StateChangeTimestampMonotonic") or 0) / 1e6
        queued = told.get("Job", "") not in ("", "0")
        state, result = told.get("ActiveState", "unknown"), told.get("Result", "success")
        found.append(ServiceState(unit, state, max(0.0, now - since), queued, result))
    return found


def machine_state() -> MachineState:
    """Whether the machine, or without root this account's session, has finished its start."""
    own = None if os.geteuid() == 0 else os.geteuid()
    said = _ask(own, "is-system-running").strip()
    if said == "stopping":
        return "stopping"
    if own is not None and said in ("", "offline"):
        return "running"  # this account has no systemd of its own
    # In "maintenance" it waits for an administrator to start it further.
    return "running" if said in ("running", "degraded") else "starting"


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


def start_anew(unit: Unit) -> None:
    """Let a service start although it failed; how it goes is seen later."""
    _ask(unit.user, "reset-failed", "--", unit.name)
    _ask(unit.user, "--no-block", "start", "--", unit.name)


def go_on_with_start() -> None:
    """Let the machine start what it could not because of a service that is well now."""
    _ask(None, "--no-block", "start", "default.target")


def _service(parts: list[str]) -> Unit | None:
    manager = next((match for part in parts if (match := _MANAGER.fullmatch(part))), None)
    below = parts[parts.index(manager.group()) + 1 :] if manager else parts
    name = next((part for part in reversed(below) if part.endswith(".service")), None)
    if name is None or name.startswith(_NO_SERVICES):
        return None
    return Unit(name, int(manager[1]) if manager else None)


def _systemctl(unit: Unit, verb: str) -> str:
    if shutil.which("systemctl") is None:
        return "there is no systemctl"
    try:
        done = _run(unit.user, verb, "--", unit.name)
    except subprocess.TimeoutExpired:
        return f"it took longer than {SECONDS:.0f} seconds"
    said = done.stderr.strip().splitlines()
    return "" if done.returncode == 0 else (said[-1] if said else "systemctl failed")


def _ask(user: int | None, *arguments: str) -> str:
    """What systemctl prints; nothing where it cannot be asked."""
    try:
        return _run(user, *arguments).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""


def _run(user: int | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    whose = [] if user is None else ["--user"]
    if user not in (None, os.geteuid()):
        whose.append(f"--machine={user}@.host")
    return subprocess.run(
        ["systemctl", *whose, "--no-ask-password", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=SECONDS,
        check=False,
    )
