"""A machine for tests: its boots, its services and what systemctl answers are played.

Everything else of the host is that of the machine which runs the tests.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from repoint.host.host import Host
from repoint.host.kernel.boot import Boot
from repoint.host.programs import Programs
from repoint.host.run import ProgramResult
from repoint.host.systemd.services import Systemd, TransientUnit, Unit

STEADY = "ActiveState=active\nStateChangeTimestampMonotonic=1\nResult=success\n"
HANGS = "ActiveState=activating\nStateChangeTimestampMonotonic=1\nJob=7\n"
FAILED = "ActiveState=failed\nStateChangeTimestampMonotonic=1\nResult=timeout\n"
INACTIVE = "ActiveState=inactive\nStateChangeTimestampMonotonic=0\nResult=success\n"


@dataclass
class PlayedMachine:
    """A machine that systemd runs.

    Attributes:
        state: What ``systemctl is-system-running`` prints.
        service: What ``systemctl show`` prints for every service.
        units: The service of each process; of a process that is not listed, the one for None.
        refusals: The error for each systemctl verb that systemd refuses.
        stops: Called when a service is stopped.
        observe: Gives what a line of the log says after the command.
        log: Each systemctl command that changes something, and what was observed then.
    """

    state: str = "running"
    service: str = STEADY
    units: dict[int | None, Unit] = field(default_factory=dict)
    refusals: dict[str, str] = field(default_factory=dict)
    stops: Callable[[], None] = lambda: None
    observe: Callable[[], str] = lambda: ""
    log: list[str] = field(default_factory=list)
    boots: int = 1

    def __post_init__(self) -> None:
        systemd = PlayedSystemd(self)
        self.host = msgspec.structs.replace(
            Host.local(), boot=PlayedBoot(self), systemd=systemd, programs=Programs(systemd)
        )

    def reboot(self) -> None:
        """Begin another boot."""
        self.boots += 1
        self.log.clear()


class PlayedBoot(Boot):
    """The current boot of a played machine, by the real clock."""

    def __init__(self, machine: PlayedMachine) -> None:
        super().__init__()
        self._machine = machine

    def identity(self) -> str:
        return f"boot {self._machine.boots}"


class PlayedSystemd(Systemd):
    """The systemd of a played machine: its commands are real, their answers are the machine's."""

    def __init__(self, machine: PlayedMachine) -> None:
        super().__init__()
        self._machine = machine

    def is_booted(self) -> bool:
        return True

    def unit_of(self, pid: int) -> Unit | None:
        return self._machine.units.get(pid, self._machine.units.get(None))

    def execute(self, command: Sequence[str]) -> ProgramResult:
        machine = self._machine
        if "is-system-running" in command:
            return ProgramResult(tuple(command), 0, f"{machine.state}\n")
        if "show" in command:
            return ProgramResult(tuple(command), 0, machine.service)
        for verb, error in machine.refusals.items():
            if verb in command:
                return ProgramResult(tuple(command), 1, "", f"{error}\n")
        machine.log.append(f"{' '.join(command[1:])}: {machine.observe()}")
        if "stop" in command:
            machine.stops()
        return ProgramResult(tuple(command), 0)

    def start_transient(self, unit: TransientUnit) -> ProgramResult:
        raise NotImplementedError("no test starts a unit on a played machine")
