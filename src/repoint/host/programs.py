"""Start a program so that it outlives Repoint, as the account that ran it before."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.fs.durable import make_folder
from repoint.host.kernel.processes import Owner
from repoint.host.systemd import Systemd, TransientUnit

_SERVICE_VARIABLES = (
    "INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "NOTIFY_SOCKET", "MAINPID", "SYSTEMD_EXEC_PID", "MANAGERPID",
)  # fmt: skip
"""What systemd passes to one service (systemd.exec(5)); another program must not act on it."""


@dataclass(frozen=True)
class StartedProgram:
    """The outcome of starting a program or a service.

    Attributes:
        name: The command as a shell would read it, or the name of the service.
        reason: Why it could not be started; empty if it was started.
    """

    name: str
    reason: str = ""

    @property
    def started(self) -> bool:
        """True if it was started."""
        return not self.reason


class Programs:
    """Programs that outlive Repoint.

    Args:
        systemd: Starts them if this process is itself a service.
    """

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    def start(self, command: Sequence[str], log: Path, owner: Owner | None) -> StartedProgram:
        """Start a program in a session of its own.

        If this process is a service of systemd, systemd starts the program: otherwise the
        hardening of our service would bind it, and it would end with our service. If another
        account ran it before, that account runs it again, with the environment that it had.

        Args:
            command: The program and its arguments.
            log: The file to which its output is appended.
            owner: The account that ran it; None for our own.
        """
        name = shlex.join(command)
        environment = environment_for(os.environ if owner is None else owner.environment)
        search = os.pathsep.join(
            (environment.get("PATH", os.defpath), os.environ.get("PATH", os.defpath))
        )
        program = shutil.which(command[0], path=search)
        if program is None:
            return StartedProgram(name, "there is no such program")
        make_folder(log.parent)
        foreign = owner if owner is not None and owner.user != os.geteuid() else None
        start = self._start_by_systemd if self._is_service() else _start_directly
        return StartedProgram(name, start((program, *command[1:]), log, environment, foreign))

    def _is_service(self) -> bool:
        return "INVOCATION_ID" in os.environ and shutil.which("systemd-run") is not None

    def _start_by_systemd(
        self, command: tuple[str, ...], log: Path, environment: dict[str, str], owner: Owner | None
    ) -> str:
        unit = TransientUnit(
            command,
            properties=(f"StandardOutput=append:{log}",),
            environment=tuple((n, v) for n, v in environment.items() if "\n" not in v),
            account=(owner.user, owner.group) if owner is not None else None,
        )
        return self._systemd.start_transient(unit).reason


def environment_for(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what systemd passes to one service."""
    return {name: value for name, value in variables.items() if name not in _SERVICE_VARIABLES}


def _start_directly(
    command: tuple[str, ...], log: Path, environment: dict[str, str], owner: Owner | None
) -> str:
    with open(log, "ab", opener=lambda path, flags: os.open(path, flags, 0o644)) as output:
        if output.tell() == 0:
            os.fchmod(output.fileno(), 0o644)
        try:
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
                user=owner.user if owner else None,
                group=owner.group if owner else None,
                extra_groups=owner.groups if owner else None,
            ).returncode = 0  # Nobody waits for it; this keeps Popen from warning about that.
        except OSError as error:
            return error.strerror or str(error)
    return ""
