"""Start a program so that it outlives Repoint, as the account that ran it before."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from repoint.fs.durable import make_folder
from repoint.fs.trusted import UntrustedFileError, require_trusted_way
from repoint.host.run import clean_environment, find_program, private_log, start_detached
from repoint.host.systemd.services import Systemd, TransientUnit

_SERVICE_VARIABLES = (
    "INVOCATION_ID", "JOURNAL_STREAM", "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES",
    "NOTIFY_SOCKET", "MAINPID", "SYSTEMD_EXEC_PID", "MANAGERPID",
)  # fmt: skip
"""What systemd passes to one service (systemd.exec(5)); another program must not act on it."""


class StartedProgram(msgspec.Struct, frozen=True):
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

    What is started comes from the enrolment. A running process decides only which account starts it
    again: its environment and its arguments are that account's to choose, and decide nothing.

    Args:
        systemd: Starts them if this process is itself a service, or if another account runs them.
    """

    def __init__(self, systemd: Systemd) -> None:
        self._systemd = systemd

    def start(self, command: Sequence[str], log: Path, user: int | None) -> StartedProgram:
        """Start a program in a session of its own.

        If this process is a service of systemd, systemd starts the program: otherwise the
        hardening of our service would bind it, and it would end with our service. For another
        account, that account's own systemd starts it, in its session. On a machine without systemd
        it gets a clean environment.

        Args:
            command: The program and its arguments.
            log: The file to which its output is appended, unless systemd takes it.
            user: The account that ran it; None for our own.
        """
        name = shlex.join(command)
        program = find_program(command[0])
        if program is None:
            return StartedProgram(name, "there is no such program")
        own = os.geteuid()
        found = (program, *command[1:])
        try:
            if user is not None and user != own:
                reason = self._start_for(user, found, log)
            elif own == 0 and _others_can_change(program):
                reason = f"another account can change {program}, so root does not run it"
            else:
                reason = self._start_own(found, log)
        except OSError as error:
            reason = error.strerror or str(error)
        return StartedProgram(name, reason)

    def _start_own(self, command: tuple[str, ...], log: Path) -> str:
        make_folder(log.parent)
        if "INVOCATION_ID" in os.environ and self._systemd.is_booted():
            private_log(log).close()  # systemd would create it for everybody to read
            unit = TransientUnit(command, properties=(f"StandardOutput=append:{log}",))
            return self._systemd.start_transient(unit).reason
        # A person's own program needs the session of that person, such as its display.
        environment = clean_environment() if os.geteuid() == 0 else environment_for(os.environ)
        start_detached(command, log, environment)
        return ""

    def _start_for(self, user: int, command: tuple[str, ...], log: Path) -> str:
        if os.geteuid() != 0:
            return "another account ran it"
        if self._systemd.is_booted():
            reason = self._systemd.start_transient(TransientUnit(command, user=user)).reason
            return reason and f"it has to start in the session of account {user}: {reason}"
        try:
            environment = clean_environment(user)
        except KeyError:
            return f"there is no account with the number {user}"
        make_folder(log.parent)
        start_detached(command, log, environment, user)
        return ""


def environment_for(variables: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what systemd passes to one service."""
    return {name: value for name, value in variables.items() if name not in _SERVICE_VARIABLES}


def _others_can_change(program: str) -> bool:
    """Return whether an account other than root can replace a program or write to it."""
    path = Path(program)
    try:
        require_trusted_way(path, {0})
    except UntrustedFileError:
        return True
    status = path.stat()
    # Of a file with an access control list, the group's bits are what any of its entries allows.
    return status.st_uid != 0 or bool(status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
