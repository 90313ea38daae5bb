"""Activation: the switch to the staged generation. `confirmation` decides whether it stays."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Collection

import msgspec

from repoint.device.activate.confirmation import confirm_or_roll_back, rollback_error
from repoint.device.activate.trial_start import begin_trial
from repoint.device.errors import StillRunningError, StoreDamagedError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.status.census import census_of
from repoint.device.status.pending import blocking, changed_seals, pending_scopes
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry
from repoint.device.store.store import Store
from repoint.device.store.store_lock import locked
from repoint.device.store.trees.in_force import put_in_force, wake_trees
from repoint.device.store.trees.intact import describe_differences, glance
from repoint.device.strategy.strategy import show_active
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host
from repoint.host.systemd.services import Unit
from repoint.model.errors import RepointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.activate.transaction import LookAgain

PATIENCE_AT_START = 3.0
"""Seconds that the start of the machine or of a program waits for the repository."""


class Activation(msgspec.Struct, frozen=True):
    """What was activated, and the duration of the switch and of the health checks in seconds."""

    generation: Generation
    switch: float
    health: float


def activate(
    state: ProductState,
    host: Host,
    *,
    now: int,
    stopped: Collection[Unit] = (),
    left: Collection[int] = (),
) -> Activation | Nothing:
    """Switch to the staged generation, and confirm it or roll it back. The store must be locked.

    The commit point is one rename, of the link through which all graft points lead. A letter that
    has to prove that services run with it stays on trial until a later command decides it.

    Args:
        state: The product.
        host: The machine.
        now: Seconds since 1970.
        stopped: The services that the caller has stopped for it, and starts again.
        left: Processes that the caller has asked to close, and that need not be waited for.

    Raises:
        StillRunningError: A program that was not started through the launcher runs from a
            component that would change, or what runs cannot be seen.
        HealthCheckError: The letter was rolled back.
        CannotMergeError: The system does not merge it; what was active is active still.
        SupersededError: The system below was updated; the baseline is active.
    """
    staged, active = state.links.staged(), state.links.active()
    if staged is None or active is None:
        message = "Nothing is staged"
        return Nothing("nothing staged", message, "Run `repoint check` to see what is offered")
    census = census_of(state.store, host)
    if census.hidden:
        raise StillRunningError(
            f"{staged.label} stays staged, because running processes cannot be listed here",
            hint="Mount the proc file system at /proc, without `hidepid` for this account",
        )
    uses = [use for use in blocking(state, census) if use.pid not in left]
    if uses:
        programs = ", ".join(f"{use.name} ({use.pid})" for use in uses)
        raise StillRunningError(
            f"{staged.label} stays staged, because programs run from what it changes: {programs}",
            hint=f"Close them or run {state.command('restart')}; programs that are started with "
            "`repoint launch` need not be closed",
        )
    with explained(f"activate {staged.label}", COMPLETED_NEXT):
        started = time.perf_counter()
        form = switch(state, host, staged, active, stopped)
        switched = time.perf_counter()
        detail = form if staged.letter else f"instead of {active.label}"
        state.history.add(HistoryEntry(now, "activated", staged.label, detail))
    if not stopped or state.trials.current() is None:
        confirm_or_roll_back(state, host, now=now)
        error = rollback_error(state, staged)
        if error is not None:
            raise error
    return Activation(staged, switched - started, time.perf_counter() - switched)


def switch(
    state: ProductState,
    host: Host,
    staged: Generation,
    active: Generation,
    stopped: Collection[Unit] = (),
) -> str:
    """Switch. All steps before the rename of the active link can be repeated or dropped.

    Returns:
        How programs see the generation: see `strategy.show_active`.
    """
    _require_intact(state, staged)
    damaged = wake_trees(state, staged)
    if damaged:
        raise _damaged(f"{damaged[0]} of {staged.label} is damaged in the store", staged, state)
    if state.generations.is_confirmed(active):  # a letter on trial is nothing to roll back to
        state.links.point_previous(active)
    begin_trial(state, host, staged, active, stopped)
    put_in_force(state, staged)
    try:
        form = show_active(state, host)
    except CannotMergeError:
        put_in_force(state, active)
        raise
    state.links.clear_staged()
    return form


def _require_intact(state: ProductState, staged: Generation) -> None:
    """Require that what is about to be put in force is what was staged, as far as a glance shows.

    A component that does not change is left out: its tree is in force already.
    """
    changed = set(changed_seals(state).values())
    for component, differences in glance(state, staged).items():
        if component in changed:
            raise _damaged(
                f"{component} of {staged.label} was changed in the store: "
                f"{describe_differences(differences)}",
                staged,
                state,
            )


def _damaged(message: str, staged: Generation, state: ProductState) -> StoreDamagedError:
    if staged.letter:
        hint = f"Nothing was switched; run {state.command('install')} to prepare it again"
    else:
        hint = "Nothing was switched; reinstall the product, then run `repoint check`"
    return StoreDamagedError(message, hint=hint)


def activate_for_launch(store: Store, host: Host, look_again: LookAgain, *, now: int) -> None:
    """Activate what is staged before a program starts, if that is possible without waiting.

    The start of a program is a moment at which an activation disturbs nobody. The program must
    start even if nothing can be activated now: another command holds the lock, the store belongs
    to another user, or programs run without the launcher.
    """
    until: float | None = None
    for state in store.enrolled():
        with contextlib.suppress(RepointError):
            if state.links.staged() is not None:
                until = until or time.monotonic() + PATIENCE_AT_START
                with locked(store.path, "repoint launch", wait=0):
                    if pending_scopes(state) <= {"none", "app"}:
                        look_again(state, until - time.monotonic())
                        activate(state, host, now=now)


def activate_without_restart(state: ProductState, host: Host, *, now: int) -> None:
    """Activate what is staged if it needs no restart and no program blocks it."""
    if pending_scopes(state) <= {"none"}:
        with contextlib.suppress(StillRunningError):
            activate(state, host, now=now)


def activate_removal(state: ProductState, host: Host, *, now: int) -> bool:
    """Return to a staged baseline if no program blocks it; return whether the removal is done."""
    try:
        activate(state, host, now=now)
    except StillRunningError:
        return False
    return True
