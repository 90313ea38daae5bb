"""systemd: the service that a process belongs to, the states of services, and control of units."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from repoint.host.run import ProgramResult, run

_SESSION = re.compile(r"/user-(\d+)\.slice(?:/|$)", re.MULTILINE)
_MANAGER = re.compile(r"user@(\d+)\.service")

# Desktops start programs in units of this form; such a unit is gone when the program ends, so it
# cannot be started again (the desktop specification "XDG standardization for applications").
# Repoint's own units are not programs either, but a program that a restart started may run in one.
_NO_SERVICES = ("app-", "repoint-")

SECONDS = 120.0
"""Time limit for stopping or starting a service."""

_SHOWN = ("ActiveState", "Job", "StateChangeTimestampMonotonic", "Result")

MachineState = Literal["starting", "running", "stopping"]


class Unit(msgspec.Struct, frozen=True):
    """A service of systemd.

    Attributes:
        name: Its name, such as ``kiosk.service``.
        user: The account whose own systemd runs it; None for the system's.
    """

    name: str
    user: int | None = None


class ServiceState(msgspec.Struct, frozen=True):
    """The state of a service.

    Attributes:
        unit: The service.
        state: Its ActiveState (org.freedesktop.systemd1(5)); ``unknown`` if systemd does not
            answer.
        steady: Seconds since it entered that state.
        queued: True if systemd still has to start or stop it.
        result: Why its last run ended; ``success`` if nothing was wrong.
    """

    unit: Unit
    state: str
    steady: float = 0.0
    queued: bool = False
    result: str = "success"


class TransientUnit(msgspec.Struct, frozen=True):
    """A unit that exists only while its program runs.

    Attributes:
        command: The program and its arguments.
        name: The unit's name; systemd chooses one by default.
        description: What systemd shows for it.
        properties: Settings of the unit, such as ``Restart=on-abnormal``.
        user: The account whose own systemd runs it, with the environment of its session; None for
            the systemd of this account, or of the system if this is root.
        wait: Wait until the program is started.
    """

    command: tuple[str, ...]
    name: str = ""
    description: str = ""
    properties: tuple[str, ...] = ()
    user: int | None = None
    wait: bool = True


def restarted_services(command: Sequence[str]) -> tuple[Unit, ...]:
    """Return the system services that a command such as ``systemctl restart kiosk`` restarts."""
    words = [word for word in command[1:] if not word.startswith("-")]
    if not command or Path(command[0]).name != "systemctl" or len(words) < 2:
        return ()
    names = (word if "." in word else f"{word}.service" for word in words[1:])
    return tuple(Unit(name) for name in names if name.endswith(".service"))


def systemctl(*arguments: str, user: bool = False) -> tuple[str, ...]:
    """The systemctl command for the system's systemd, or for this account's own."""
    return ("systemctl", *(["--user"] if user else []), *arguments)


class Systemd:
    """The systemd of a machine, and those of its accounts.

    Args:
        booted: Exists if and only if systemd runs the machine (sd_booted(3)).
        proc: The proc file system.
        monotonic: The clock of systemd's monotonic timestamps, in seconds.
    """

    def __init__(
        self,
        booted: Path = Path("/run/systemd/system"),
        proc: Path = Path("/proc"),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._booted = booted
        self._proc = proc
        self._monotonic = monotonic

    def is_booted(self) -> bool:
        """Return whether systemd runs this machine."""
        return self._booted.is_dir()

    def unit_of(self, pid: int) -> Unit | None:
        """Return the service that a process belongs to; None if it is not one, or has ended."""
        try:
            text = (self._proc / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:
            return None
        # cgroups(7): "0::/path" in version 2, "N:name=systemd:/path" in version 1.
        for line in text.splitlines():
            controllers, _, path = line.partition(":")[2].partition(":")
            if controllers in ("", "name=systemd"):
                unit = _service(path.split("/"))
                if unit is not None:
                    return unit
        return None

    def session_of(self, pid: int) -> int | None:
        """Return the account in whose session a process runs; None if it runs in none."""
        try:
            text = (self._proc / str(pid) / "cgroup").read_text(errors="replace")
        except OSError:
            return None
        account = _SESSION.search(text)
        return int(account[1]) if account else None

    def states(self, units: Iterable[Unit]) -> list[ServiceState]:
        """Return the states of services."""
        return [self._state(unit) for unit in units]

    def machine_state(self) -> MachineState:
        """Return whether the machine, or this account's session if not root, has started."""
        own = None if os.geteuid() == 0 else os.geteuid()
        state = self._systemctl(own, "is-system-running").output.strip()
        if state == "stopping":
            return "stopping"
        if own is not None and state in ("", "offline"):
            return "running"  # This account has no systemd of its own.
        # In "maintenance" the start waits for an administrator.
        return "running" if state in ("running", "degraded") else "starting"

    def stop(self, unit: Unit) -> ProgramResult:
        """Stop a service and wait until it has stopped."""
        return self._systemctl(unit.user, "stop", "--", unit.name)

    def start(self, unit: Unit) -> ProgramResult:
        """Start a service and wait until it has started."""
        return self._systemctl(unit.user, "start", "--", unit.name)

    def restart_failed(self, unit: Unit) -> None:
        """Queue the start of a service that may have failed; its state shows the outcome."""
        self._systemctl(unit.user, "reset-failed", "--", unit.name)
        self._systemctl(unit.user, "--no-block", "start", "--", unit.name)

    def resume_boot(self) -> None:
        """Start what the boot could not start because of a service that works now."""
        self._systemctl(None, "--no-block", "start", "default.target")

    def start_own(self, name: str) -> ProgramResult:
        """Queue the start of a unit of this account, or of the system if this is root."""
        return self.control("--no-ask-password", "--no-block", "start", name)

    def is_active(self, name: str) -> bool:
        """Return whether a unit of this account, or of the system if this is root, is active."""
        return self.control("--no-ask-password", "--quiet", "is-active", name).succeeded

    def control(self, *arguments: str) -> ProgramResult:
        """Run systemctl for this account, or for the system if this is root."""
        return self.execute(systemctl(*arguments, user=os.geteuid() != 0))

    def execute(self, command: Sequence[str]) -> ProgramResult:
        """Run a command that `systemctl` gave."""
        return run(command, seconds=SECONDS)

    def start_transient(self, unit: TransientUnit) -> ProgramResult:
        """Start a program in a unit of its own (systemd-run(1))."""
        # Values never go on this command line: every account can read it.
        own = os.geteuid()
        options = ["--user"] if own != 0 or unit.user is not None else []
        if unit.user not in (None, own):
            options.append(f"--machine={unit.user}@.host")
        options += ["--quiet", "--collect", "--no-ask-password"]
        options += [] if unit.wait else ["--no-block"]
        options += [f"--unit={unit.name}"] if unit.name else []
        options += [f"--description={unit.description}"] if unit.description else []
        options += [f"--property={line}" for line in unit.properties]
        return run(["systemd-run", *options, "--", *unit.command], seconds=SECONDS)

    def _state(self, unit: Unit) -> ServiceState:
        output = self._systemctl(
            unit.user, "show", f"--property={','.join(_SHOWN)}", "--", unit.name
        ).output
        fields = dict(line.split("=", 1) for line in output.splitlines() if "=" in line)
        since = int(fields.get("StateChangeTimestampMonotonic") or 0) / 1e6
        return ServiceState(
            unit,
            fields.get("ActiveState", "unknown"),
            max(0.0, self._monotonic() - since),
            fields.get("Job", "") not in ("", "0"),
            fields.get("Result", "success"),
        )

    def _systemctl(self, user: int | None, *arguments: str) -> ProgramResult:
        options = [] if user is None else ["--user"]
        if user not in (None, os.geteuid()):
            options.append(f"--machine={user}@.host")
        return self.execute(["systemctl", *options, "--no-ask-password", *arguments])


def _service(parts: list[str]) -> Unit | None:
    manager = next((match for part in parts if (match := _MANAGER.fullmatch(part))), None)
    below = parts[parts.index(manager.group()) + 1 :] if manager else parts
    name = next((part for part in reversed(below) if part.endswith(".service")), None)
    if name is None or name.startswith(_NO_SERVICES):
        return None
    return Unit(name, int(manager[1]) if manager else None)
