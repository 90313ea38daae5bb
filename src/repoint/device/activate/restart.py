"""Restart: close the programs that run replaced code, activate, and start them again."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.device.activate.activation import Activation, activate
from repoint.device.activate.closing import close_programs, is_running
from repoint.device.errors import NotStartedError, StillRunningError
from repoint.device.outcomes import Nothing, require_done
from repoint.device.status.affected import unit_of
from repoint.device.status.census import Census, Use, census_of
from repoint.device.status.exposure import find_unknown, outdated_uses
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, GraftPoint
from repoint.host.host import Host
from repoint.host.programs import StartedProgram
from repoint.host.systemd.services import Unit

CLOSE_TIMEOUT = 10.0
"""Seconds that a program has to close after it was asked to."""


@dataclass(frozen=True)
class Restarted:
    """The result of a restart.

    Attributes:
        generation: The generation that is active now.
        activation: The activation, or None if nothing was staged.
        closed: The processes that were closed.
        left: The processes of containers and of foreign accounts that still run the old code.
        unknown: The processes that may run the old code, and were left alone.
        started: The commands and services that were started again.
        not_started: The commands and services that could not be started again, with the reasons.
    """

    generation: Generation
    activation: Activation | None
    closed: tuple[Use, ...]
    started: tuple[str, ...]
    not_started: tuple[StartedProgram, ...] = ()
    left: tuple[Use, ...] = ()
    unknown: tuple[Use, ...] = ()

    def start_error(self) -> NotStartedError | None:
        """Return the error if a program could not be started again, or None."""
        if not self.not_started:
            return None
        programs = "; ".join(f"{program.name}: {program.reason}" for program in self.not_started)
        return NotStartedError(
            f"What was closed could not be started again: {programs}", hint="Start it yourself"
        )


@dataclass
class _Program:
    """A program to start again, once for each account that ran it.

    Attributes:
        point: The component with its command.
        user: The account; None for our own.
        disputed: Whether it ran as root and another account may have started it.
        pids: Its processes.
    """

    point: GraftPoint
    user: int | None
    disputed: bool
    pids: list[int]


def restart(
    state: ProductState, host: Host, *, now: int, close_timeout: float = CLOSE_TIMEOUT
) -> Restarted | Nothing:
    """Close the programs that run the old tree, switch, and start them again.

    systemd stops and starts its services. Other programs are asked to close, and are started again
    with the command of the enrolment, by the account that ran them. If a program does not close,
    nothing is switched. The store must be locked.

    Raises:
        StillRunningError: A program did not close in time, or belongs to another user.
        HealthCheckError: The letter was rolled back, and the programs started with what ran before.
            Services are started first, and decide about it later: see `confirmation`.
    """
    census = census_of(state.store, host)
    running = outdated_uses(state, census)
    active, staged = state.links.active(), state.links.staged()
    if active is None or (staged is None and not running):
        return _nothing_to_restart(state, census)
    units = {use.pid: unit_of(host, use) for _, use in running}
    services = list(dict.fromkeys(unit for unit in units.values() if unit is not None))
    uses = [(component, use) for component, use in running if units[use.pid] is None]
    programs = _programs(state, host, uses)
    stopped: list[Unit] = []
    closed = False
    activation = None
    left: tuple[Use, ...] = ()
    try:
        for unit in services:
            _stop(host, unit)
            stopped.append(unit)
        left = close_programs(host, census, [use for _, use in uses], close_timeout)
        closed = True
        if staged is not None:
            pids = {use.pid for use in left}
            activation = require_done(activate(state, host, now=now, stopped=services, left=pids))
    finally:
        # Whether the activation succeeded or not, what was closed is started again.
        results = [StartedProgram(unit.name, host.systemd.start(unit).reason) for unit in stopped]
        for program in programs:
            if closed or not any(map(is_running, program.pids)):
                log = state.path / "programs" / f"{program.point.component}.log"
                results.append(_start(host, program, log))
    still_running = {use.pid for use in left}
    unknown = {
        found.use.pid: found.use
        for found in find_unknown(state, census)
        if not found.use.closes and is_running(found.use.pid)
    }
    closed_uses = {use.pid: use for _, use in running if use.pid not in still_running}
    return Restarted(
        staged or active,
        activation,
        closed=tuple(closed_uses.values()),
        started=tuple(result.name for result in results if result.started),
        not_started=tuple(result for result in results if not result.started),
        left=left,
        unknown=tuple(unknown.values()),
    )


def _nothing_to_restart(state: ProductState, census: Census) -> Nothing:
    unknown = {found.use.pid: found.use.name for found in find_unknown(state, census)}
    if not unknown:
        message = "Nothing waits for a restart, and nothing runs replaced code"
        return Nothing("nothing to restart", message, "Run `repoint check` to see what is offered")
    names = ", ".join(f"{name} ({pid})" for pid, name in unknown.items())
    message = f"Nothing waits for a restart, but {names} may run replaced code"
    return Nothing("nothing to restart", message, "Nobody can tell, so restart that yourself")


def _programs(state: ProductState, host: Host, uses: Sequence[tuple[str, Use]]) -> list[_Program]:
    """Return the programs to start again. Their owners are read while they still run."""
    programs: dict[tuple[str, int | None, bool], _Program] = {}
    for point in state.documents.enrolment().grafts:
        for component, use in uses:
            # A foreign account's program may still run, and a container's was not closed.
            ours = not (use.contained or use.foreign)
            if component == point.component and point.program and ours:
                user = host.processes.user_of(use.pid)
                disputed = user == 0 and _may_be_of_another(host, use.pid)
                key = (component, user, disputed)
                programs.setdefault(key, _Program(point, user, disputed, [])).pids.append(use.pid)
    return list(programs.values())


def _may_be_of_another(host: Host, pid: int) -> bool:
    session = host.systemd.session_of(pid)
    return session not in (None, 0) or host.processes.may_be_set_user_id(pid)


def _start(host: Host, program: _Program, log: Path) -> StartedProgram:
    if program.disputed:
        # It is set-user-ID, or was started with sudo. An account must not choose what root runs.
        reason = "it ran as root, but another account may have started it"
        return StartedProgram(shlex.join(program.point.program), reason)
    return host.programs.start(program.point.program, log, program.user)


def _stop(host: Host, unit: Unit) -> None:
    reason = host.systemd.stop(unit).reason
    if reason:
        raise StillRunningError(
            f"The service {unit.name} could not be stopped: {reason}",
            hint="Stop it yourself, then restart again; nothing was switched",
        )
