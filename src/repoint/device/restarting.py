"""Restart: close what runs the old tree, activate, and start it again."""

from __future__ import annotations

import os
import select
import shlex
import shutil
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repoint.device.activating import Activation, activate
from repoint.device.census import census_of
from repoint.device.errors import NothingToDoError, StillRunningError
from repoint.device.exposure import outdated_uses
from repoint.device.processes import Use
from repoint.device.records import Generation, GraftPoint
from repoint.device.store import ProductStore

GRACE = 10.0
"""Seconds that a program has to close after it was asked to."""


@dataclass(frozen=True)
class Restarted:
    """What a restart did.

    Attributes:
        generation: What is active now.
        activation: The activation, if anything was staged.
        closed: The processes that were asked to close, and did.
        started: The commands that were started again.
    """

    generation: Generation
    activation: Activation | None
    closed: tuple[Use, ...]
    started: tuple[str, ...]


def restart(product: ProductStore, *, now: int, grace: float = GRACE) -> Restarted:
    """Close the programs that run the old tree, switch, and start them again.

    The store must be locked. Where a program does not close, nothing is switched.

    Raises:
        NothingToDoError: Nothing waits, and nothing runs old code.
        StillRunningError: A program did not close in time, or belongs to somebody else.
        HealthCheckError: The health check failed; the programs are started with what ran before.
    """
    running = outdated_uses(product, census_of(product.store))
    active, staged = product.active(), product.staged()
    if active is None or (staged is None and not running):
        raise NothingToDoError(
            "Nothing waits for a restart, and nothing runs replaced code",
            hint="Run `repoint check` to see what is offered",
        )
    components = {component for component, _ in running}
    _close([use for _, use in running], grace)
    points = product.enrolment().grafts
    to_start = [point for point in points if point.component in components and point.program]
    activation = None
    try:
        if staged is not None:
            activation = activate(product, now=now)
    finally:
        # Whatever became of the activation, a program that was closed is started again.
        names = [_start(product, point) for point in to_start]
    closed = tuple(use for _, use in running)
    return Restarted(staged or active, activation, closed, tuple(names))


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


def _ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])


def _start(product: ProductStore, point: GraftPoint) -> str:
    """Start a program that outlives us, in a session of its own."""
    logs = product.path / "programs"
    logs.mkdir(exist_ok=True)
    log = str(logs / f"{point.component}.log")
    said = shlex.join(point.program)
    program = shutil.which(point.program[0])
    if program is None:
        return f"{said}: there is no such program"
    appending = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    os.posix_spawn(
        program,
        point.program,
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, log, appending, 0o644),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    return said
