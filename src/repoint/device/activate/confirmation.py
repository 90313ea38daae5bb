"""Confirmation and rollback of the active letter. `trial` has the rules; this is the I/O.

`confirm_or_roll_back` is the one place where a letter is decided. Activation, restart, the start of
the machine and every later command call it. `complete_rollback` carries out a rollback that was
committed; it is idempotent, so that the next command completes one that was interrupted.
"""

from __future__ import annotations

import msgspec

from repoint.device.activate.health import run_health_checks
from repoint.device.activate.trial import (
    CONFIRM,
    Observation,
    Verdict,
    count_start,
    decide,
    roll_back_after_last_try,
)
from repoint.device.errors import HealthCheckError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, Mark, Trial
from repoint.device.store.trees.in_force import put_in_force
from repoint.device.strategy.strategy import show_active
from repoint.host.host import Host


def confirm_or_roll_back(state: ProductState, host: Host, *, now: int) -> Verdict:
    """Confirm the active letter, roll it back, or let it wait, by the rules of `trial`.

    The commit point of a confirmation is the file ``confirmed`` of the generation; of a rollback,
    the mark that says that the letter failed.
    """
    active = state.links.active()
    if active is None or state.generations.is_confirmed(active):
        return CONFIRM
    verdict = current_verdict(state, host)
    if verdict.kind == "confirm":
        failure = _check_health(state, active)
        verdict = Verdict("roll back", failure, "health") if failure else verdict
    with explained(f"confirm {active.label}", COMPLETED_NEXT):
        if verdict.kind == "confirm":
            state.generations.confirm(active)
            state.history.add(HistoryEntry(now, "confirmed", active.label, by="automatic"))
            state.trials.clear()
        elif verdict.kind == "roll back":
            _keep_requested_services(state, host, active)
            _roll_back(state, host, active, verdict, now)
    return verdict


def current_verdict(state: ProductState, host: Host) -> Verdict:
    """Return what the rules say about the active letter now, apart from its health checks."""
    trial = _undecided_trial(state)
    if trial is None or not host.systemd.is_booted():
        return CONFIRM
    services = host.systemd.states(trial.services)
    return decide(Observation(trial, services, host.systemd.machine_state(), host.boot.uptime()))


def count_machine_start(state: ProductState, host: Host, *, now: int) -> None:
    """Count this start of the machine, and roll the letter back if it has had all its tries.

    This runs before anything is merged: whatever the letter does to the machine, it is counted.
    """
    active, trial = state.links.active(), _undecided_trial(state)
    if active is None or trial is None:
        return
    counted = count_start(trial, host.boot.identity(), host.boot.uptime())
    verdict = roll_back_after_last_try(Observation(counted))
    if verdict is not None:
        _roll_back(state, host, active, verdict, now)
    elif counted is not trial:
        state.trials.set(counted)


def complete_rollback(state: ProductState, host: Host) -> None:
    """Carry out what follows from a decided trial.

    The services of a letter that failed are stopped, the previous generation becomes active, and
    the services are started again with it. Then the trial record is removed.
    """
    trial = state.trials.current()
    letter = Generation.from_folder(trial.generation) if trial is not None else None
    if trial is not None and letter is not None and _has_failed(state, letter):
        _return_with_services(state, host, trial)
    else:
        return_to_previous(state, host)
    if letter is not None and (
        letter != state.links.active() or state.generations.is_confirmed(letter)
    ):
        state.trials.clear()


def return_to_previous(state: ProductState, host: Host) -> None:
    """Make the previous generation active if the active one is marked as failed."""
    active = state.links.active()
    if active is not None and _has_failed(state, active):
        put_in_force(state, _previous(state, active))
        show_active(state, host)


def rollback_error(state: ProductState, letter: Generation | None) -> HealthCheckError | None:
    """Return the error for a letter that was rolled back; None if it was not."""
    active = state.links.active()
    if letter is None or active is None or active == letter or not _has_failed(state, letter):
        return None
    mark = state.marks.get(letter)
    reason = mark.why if mark is not None else ""
    return HealthCheckError(
        f"{letter.label} failed ({reason}); {active.label} is active again",
        hint=f"{letter.label} is not tried again here; send the vendor the output of "
        f"{state.command('history')}",
    )


def _roll_back(
    state: ProductState, host: Host, letter: Generation, verdict: Verdict, now: int
) -> None:
    """Roll a letter back. The commit point is the rename of its mark."""
    state.marks.set(letter, Mark("failed", now, verdict.reason, verdict.cause))
    complete_rollback(state, host)
    state.history.add(HistoryEntry(now, "failed", letter.label, verdict.reason, "automatic"))


def _keep_requested_services(state: ProductState, host: Host, active: Generation) -> None:
    """Drop inactive services from the trial: nothing requested them, so none is started again."""
    trial = state.trials.current()
    if trial is None or trial.generation != active.folder or not host.systemd.is_booted():
        return
    states = host.systemd.states(trial.services)
    requested = tuple(s.unit for s in states if s.state != "inactive" or s.queued)
    if requested != trial.services:
        state.trials.set(msgspec.structs.replace(trial, services=requested))


def _return_with_services(state: ProductState, host: Host, trial: Trial) -> None:
    same_boot = trial.boot == host.boot.identity() and host.systemd.is_booted()
    services = trial.services if same_boot else ()
    for unit in services:
        host.systemd.stop(unit)
    try:
        return_to_previous(state, host)
    finally:
        for unit in services:
            host.systemd.restart_failed(unit)
        if services and trial.starting:
            host.systemd.resume_boot()


def _undecided_trial(state: ProductState) -> Trial | None:
    """Return the trial of the active letter while it is undecided."""
    active, trial = state.links.active(), state.trials.current()
    if active is None or trial is None or trial.generation != active.folder:
        return None
    if state.generations.is_confirmed(active) or state.marks.get(active) is not None:
        return None
    return trial


def _has_failed(state: ProductState, letter: Generation) -> bool:
    mark = state.marks.get(letter)
    return bool(letter.letter) and mark is not None and mark.kind == "failed"


def _previous(state: ProductState, active: Generation) -> Generation:
    """Return the generation to roll back to."""
    previous = state.links.previous()
    if previous is None or previous == active or not state.generations.path(previous).is_dir():
        return active.baseline
    return previous


def _check_health(state: ProductState, active: Generation) -> str:
    """Run the health checks of the changed components; return why one failed, or ""."""
    changed = state.generations.changed_seals(_previous(state, active), active)
    trees = {name: state.store.tree(seal) for name, seal in changed.items()}
    return run_health_checks(state.generations.baseline(active), trees)
