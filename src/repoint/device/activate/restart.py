"""Restart: close what runs the old tree, activate, and start it again."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repoint.device.activate.activation import Activation, activate
from repoint.device.errors import StillRunningError
from repoint.device.outcomes import Nothing, require_done
from repoint.device.status.census import Use, census_of
from repoint.device.status.exposure import outdated_uses
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, GraftPoint
from repoint.host.host import Host
from repoint.host.processes import Owner
from repoint.host.programs import StartedProgram
from repoint.host.systemd import Unit

GRACE = 10.0
"""Seconds that a program has to close after it was asked to."""


@dataclass(frozen=True)
class Restarted:
    """What a restart did.

    Attributes:
        generation: What is active now.
        activation: The activation, if anything was staged.
        closed: The processes that were asked to close, and did.
        started: The commands and services that were started again.
        not_started: Those that could not be started again, each with the reason.
    """

    generation: Generation
    activation: Activation | None
    closed: tuple[Use, ...]
    started: tuple[str, ...]
    not_started: tuple[StartedProgram, ...] = ()


def restart(
    state: ProductState, host: Host, *, now: int, grace: float = GRACE
) -> Restarted | Nothing:
    """Close the programs that run the old tree, switch, and start them again.

    What systemd runs as a service is stopped and started by systemd. Other programs are asked to
    close; they are started again as enrolment says, as the account whose they were. The store must
    be locked. Where a program does not close, nothing is switched.

    Raises:
        StillRunningError: A program did not close in time, or belongs to somebody else.
        HealthCheckError: It failed; the programs are started with what ran before. Where services
            are started again, that is seen later: see `settling`.
    """
    running = outdated_uses(state, census_of(state.store, host))
    active, staged = state.links.active(), state.links.staged()
    if active is None or (staged is None and not running):
        message = "Nothing waits for a restart, and nothing runs replaced code"
        return Nothing("nothing to restart", message, "Run `repoint check` to see what is offered")
    units = {use.pid: host.systemd.unit_of(use.pid) for _, use in running}
    services = list(dict.fromkeys(unit for unit in units.values() if unit is not None))
    programs = [(component, use) for component, use in running if units[use.pid] is None]
    to_start = _to_start(state, host, programs)
    stopped: list[Unit] = []
    closed = False
    activation = None
    try:
        for unit in services:
            _stop(host, unit)
            stopped.append(unit)
        _close([use for _, use in programs], grace)
        closed = True
        if staged is not None:
            activation = require_done(activate(state, host, now=now, services=services))
    finally:
        # Whatever became of the activation, what was closed is started again.
        starts = [_start_service(host, unit) for unit in stopped]
        starts += [
            _start(state, host, point, owner)
            for point, owner, pids in to_start
            if closed or not any(map(_runs, pids))
        ]
    return Restarted(
        staged or active,
        activation,
        closed=tuple(use for _, use in running),
        started=tuple(start.name for start in starts if start.started),
        not_started=tuple(start for start in starts if not start.started),
    )


def _to_start(
    state: ProductState, host: Host, programs: Sequence[tuple[str, Use]]
) -> list[tuple[GraftPoint, Owner | None, list[int]]]:
    """What to start again, once for each account that ran it; looked up while it still runs."""
    found: dict[tuple[str, int], tuple[GraftPoint, Owner | None, list[int]]] = {}
    for point in state.documents.enrolment().grafts:
        for component, use in programs:
            if component == point.component and point.program:
                owner = host.processes.owner_of(use.pid)
                key = (component, owner.user if owner is not None else os.geteuid())
                found.setdefault(key, (point, owner, []))[2].append(use.pid)
    return list(found.values())


def _stop(host: Host, unit: Unit) -> None:
    why = host.systemd.stop(unit).reason
    if why:
        raise StillRunningError(
            f"The service {unit.name} could not be stopped: {why}",
            hint="Stop it yourself, then run `repoint restart` again; nothing was switched",
        )


def _start_service(host: Host, unit: Unit) -> StartedProgram:
    return StartedProgram(unit.name, host.systemd.start(unit).reason)


def _close(uses: Sequence[Use], grace: float) -> None:
    # A pidfd names one process for good; a pid may be given to another one meanwhile.
    waiting: dict[int, Use] = {}
    try:
        for use in uses:
            try:
                descriptor = os.pidfd_open(use.pid)
                waiting[descriptor] = use
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            except ProcessLookupError:
                continue
            except PermissionError:
                raise StillRunningError(
                    f"{use.name} ({use.pid}) belongs to another user",
                    hint="Close it there, or run `repoint restart` as root; nothing was changed",
                ) from None
        deadline = time.monotonic() + grace
        left = dict(waiting)
        while left and time.monotonic() < deadline:
            left = {fd: use for fd, use in left.items() if not _ended(fd)}
            if left:
                time.sleep(0.02)
        if left:
            who = ", ".join(f"{use.name} ({use.pid})" for use in left.values())
            raise StillRunningError(
                f"{who} did not close within {grace:.0f} seconds",
                hint="Close it yourself, then run `repoint restart` again; nothing was switched",
            )
    finally:
        for descriptor in waiting:
            os.close(descriptor)


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _start(
    state: ProductState, host: Host, point: GraftPoint, owner: Owner | None
) -> StartedProgram:
    log = state.path / "programs" / f"{point.component}.log"
    return host.programs.start(point.program, log, owner)
