"""Activation: the switch to what is staged. What becomes of it then: see `settling`."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import dataclass

from repoint.device.activate.confirmation import begin_trial, settle
from repoint.device.errors import StillRunningError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.status.census import Census, Use, census_of
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.strategy.strategy import show_active
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host
from repoint.host.systemd import Unit
from repoint.model.baseline import RestartScope


@dataclass(frozen=True)
class Activation:
    """What was activated, and how many seconds the switch and the health check took."""

    generation: Generation
    switch: float
    health: float


def blocking(state: ProductState, census: Census) -> list[Use]:
    """Processes that stand in the way of a switch.

    A program that was started through the launcher never does: it keeps its tree. Any other
    program that runs from a component may load more of it later, from the graft point, and would
    then mix two trees.
    """
    changed = changed_seals(state)
    return [use for use in census.uses if use.seal in changed and not use.held]


def changed_seals(state: ProductState) -> dict[str, str]:
    """The active trees that what is staged would replace: seal to component."""
    active, staged = state.links.active(), state.links.staged()
    if active is None or staged is None:
        return {}
    before, after = state.generations.seals(active), state.generations.seals(staged)
    return {seal: name for name, seal in before.items() if after.get(name) != seal}


def pending_scopes(state: ProductState) -> set[RestartScope]:
    """Return the restart scopes of the components that the staged generation changes."""
    staged = state.links.staged()
    if staged is None:
        return set()
    changed = set(changed_seals(state).values())
    return {c.restart for c in state.generations.baseline(staged).components if c.name in changed}


def activate(
    state: ProductState,
    host: Host,
    *,
    now: int,
    census: Census | None = None,
    services: Collection[Unit] = (),
) -> Activation | Nothing:
    """Switch to what is staged. The store must be locked.

    The commit point is one rename, of the link through which all graft points lead. A letter that
    has to show that services run with it is on trial from then on, until a later `settle`.

    Args:
        state: The product.
        host: The machine.
        now: Seconds since 1970.
        census: The running processes, if they were just looked at.
        services: Services that were stopped for it; who stopped them starts them, then settles.

    Raises:
        StillRunningError: A program that was not started through the launcher runs from a
            component that would change.
        HealthCheckError: The health check failed; what ran before is active again.
        CannotMergeError: The system does not merge it; what ran before is active still.
        SupersededError: The system below has moved on; the baseline is active.
    """
    staged, active = state.links.staged(), state.links.active()
    if staged is None or active is None:
        message = "Nothing waits for a restart"
        return Nothing("nothing staged", message, "Run `repoint check` to see what is offered")
    in_the_way = blocking(state, census or census_of(state.store, host))
    if in_the_way:
        who = ", ".join(f"{use.name} ({use.pid})" for use in in_the_way)
        raise StillRunningError(
            f"{staged.label} waits, because programs run from what it changes: {who}",
            hint="Close them or run `repoint restart`; programs that are started with "
            "`repoint launch` need not be closed",
        )
    with explained(f"activate {staged.label}", COMPLETED_NEXT):
        started = time.perf_counter()
        how = switch(state, host, staged, active, services)
        switched = time.perf_counter()
        why = how if staged.letter else f"instead of {active.label}"
        state.history.add(HistoryEntry(now, "activated", staged.label, why))
    if not services or state.trials.current() is None:
        settle(state, host, now=now)
    return Activation(staged, switched - started, time.perf_counter() - switched)


def switch(
    state: ProductState,
    host: Host,
    staged: Generation,
    active: Generation,
    services: Collection[Unit] = (),
) -> str:
    """The switch itself: everything before the second rename can be repeated or dropped.

    Returns:
        How programs see it now: see `strategy.show_active`.
    """
    if state.generations.is_confirmed(active):  # what is itself on trial is nothing to go back to
        state.links.point_previous(active)
    begin_trial(state, host, staged, active, services)
    state.links.point_active(staged)
    try:
        how = show_active(state, host)
    except CannotMergeError:
        state.links.point_active(active)
        raise
    state.links.clear_staged()
    return how
