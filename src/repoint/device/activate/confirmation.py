"""Settling: the active letter is confirmed, waited for, or taken back; `trial` has the rules."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from repoint.device.activate.health import run_health_checks
from repoint.device.activate.trial import (
    HOLDS,
    TRIES,
    WAITS,
    Verdict,
    counted,
    is_spent,
    judge,
)
from repoint.device.errors import HealthCheckError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.status.census import census_of
from repoint.device.status.exposure import outdated_uses
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, Mark, Trial
from repoint.device.strategy.strategy import show_active, strategy_type
from repoint.host.host import Host
from repoint.host.systemd import Unit, restarted_services


def note_services(state: ProductState, host: Host) -> None:
    """Remember which services run from what a staged letter changes.

    When it comes into force at a start of the machine, nothing runs from which to see that.
    """
    if state.links.staged() is None or not host.systemd.is_booted():
        return
    found: dict[str, dict[Unit, None]] = {}
    for component, use in outdated_uses(state, census_of(state.store, host)):
        unit = host.systemd.unit_of(use.pid)
        if unit is not None:
            found.setdefault(component, {})[unit] = None
    services = {component: tuple(units) for component, units in sorted(found.items())}
    if services and services != state.trials.services():
        state.trials.set_services(services)


def begin_trial(
    state: ProductState,
    host: Host,
    letter: Generation,
    before: Generation,
    running: Collection[Unit],
) -> None:
    """Write down what a letter has to show once it is switched to, if it has to show anything.

    Services are waited for wherever it is known that they run from what changes: by a look at the
    processes, now or while it was staged, or by the command of the enrolment. Where none is known,
    but something of the system changes, the machine has to come to the end of its start.

    Args:
        state: The product.
        host: The machine.
        letter: What is switched to.
        before: What is active still.
        running: Services that were stopped for it, and are started again.
    """
    if state.generations.is_confirmed(letter) or not host.systemd.is_booted():
        return
    changed = state.generations.changed_seals(before, letter)
    points = [point for point in state.documents.enrolment().grafts if point.component in changed]
    parts = [part for part in state.generations.baseline(letter).components if part.name in changed]
    seen = state.trials.services()
    services = dict.fromkeys(running)
    for point in points:
        known = (*restarted_services(point.program), *seen.get(point.component, ()))
        services |= dict.fromkeys(known)
    scopes = {part.restart for part in parts}
    of_system = "service" in scopes or any(
        strategy_type(point.strategy).changes_system for point in points
    )
    whole = bool(scopes & {"session", "system"}) or (of_system and not services)
    if services or whole:
        state.trials.set(
            Trial(
                letter.folder, host.boot.identity(), host.boot.uptime(),
                services=tuple(services), whole=whole,
                starting=host.systemd.machine_state() == "starting",
            )
        )  # fmt: skip


def look(state: ProductState, host: Host) -> Verdict:
    """What is to become of the active letter, by how its services go now."""
    found = _undecided(state)
    if found is None or not host.systemd.is_booted():
        return HOLDS
    _, trial = found
    return judge(
        trial,
        host.systemd.states(trial.services),
        host.systemd.machine_state(),
        host.boot.uptime(),
    )


def count_start(state: ProductState, host: Host, *, now: int) -> None:
    """Count this start of the machine, and take the letter back that had all its tries.

    Called before anything is merged: whatever the letter does to the machine, it is counted.
    """
    found = _undecided(state)
    if found is None:
        return
    active, trial = found
    here = counted(trial, host.boot.identity(), host.boot.uptime())
    if not is_spent(here):
        if here is not trial:
            state.trials.set(here)
        return
    why = f"{TRIES} starts of the machine did not come so far that it could be confirmed"
    state.marks.set(active, Mark("failed", now, why))
    state.links.point_active(_before(state, active))
    state.history.add(HistoryEntry(now, "failed", active.label, why))
    state.trials.clear()


def settle(state: ProductState, host: Host, *, now: int) -> bool:
    """Confirm the active generation, or go back; whether that is decided.

    Raises:
        HealthCheckError: It failed; what ran before is active again.
    """
    active = state.links.active()
    if active is None or state.generations.is_confirmed(active):
        return True
    verdict = look(state, host)
    if verdict == WAITS:
        return False
    before = _before(state, active)
    failure = verdict.why or _check_health(state, active, before)
    with explained(f"confirm {active.label}", COMPLETED_NEXT):
        if not failure:
            state.generations.confirm(active)
            state.history.add(HistoryEntry(now, "confirmed", active.label))
            state.trials.clear()
            return True
        _take_back(state, host, active, failure, now)
        state.history.add(HistoryEntry(now, "failed", active.label, failure))
    raise failed(active, failure, before)


def failed(letter: Generation, why: str, before: Generation) -> HealthCheckError:
    """What a person is told of a letter that was taken back."""
    return HealthCheckError(
        f"{letter.label} failed ({why}); {before.label} is active again",
        hint=f"{letter.label} is not tried again here; tell the vendor what `repoint history` says",
    )


def rollback_error(state: ProductState, letter: Generation | None) -> HealthCheckError | None:
    """Return why a letter was rolled back; None if it is active or has not failed."""
    active = state.links.active()
    if letter is None or active is None or active == letter:
        return None
    mark = state.marks.get(letter)
    if mark is None or mark.kind != "failed":
        return None
    return failed(letter, mark.why, active)


def finish_trial(state: ProductState, host: Host) -> None:
    """Do what remains to be done of a trial that is decided: idempotent, for every start.

    Of a letter that failed: its services are stopped, what ran before becomes active, and they are
    started again with that.
    """
    trial = state.trials.current()
    letter = Generation.from_folder(trial.generation) if trial is not None else None
    if trial is not None and letter is not None and _has_failed(state, letter):
        _return(state, host, trial)
    else:
        go_back(state, host)
    if letter is not None and (
        letter != state.links.active() or state.generations.is_confirmed(letter)
    ):
        state.trials.clear()


def go_back(state: ProductState, host: Host) -> None:
    """Return from an active generation that is marked as failed to what ran before it."""
    active = state.links.active()
    if active is not None and _has_failed(state, active):
        state.links.point_active(_before(state, active))
        show_active(state, host)


def _take_back(state: ProductState, host: Host, active: Generation, why: str, now: int) -> None:
    """The commit point is the rename of the mark."""
    trial = state.trials.current()
    if trial is not None and trial.generation == active.folder and host.systemd.is_booted():
        # What rests, nobody asked for.
        states = host.systemd.states(trial.services)
        wanted = tuple(s.unit for s in states if s.state != "inactive" or s.queued)
        if wanted != trial.services:
            state.trials.set(msgspec.structs.replace(trial, services=wanted))
    state.marks.set(active, Mark("failed", now, why))
    finish_trial(state, host)


def _return(state: ProductState, host: Host, trial: Trial) -> None:
    same_boot = trial.boot == host.boot.identity() and host.systemd.is_booted()
    services = trial.services if same_boot else ()
    for unit in services:
        host.systemd.stop(unit)
    try:
        go_back(state, host)
    finally:
        for unit in services:
            host.systemd.restart_failed(unit)
        if services and trial.starting:
            host.systemd.resume_boot()


def _undecided(state: ProductState) -> tuple[Generation, Trial] | None:
    """The active letter and its trial, where neither is decided yet."""
    active, trial = state.links.active(), state.trials.current()
    if active is None or trial is None or trial.generation != active.folder:
        return None
    if state.generations.is_confirmed(active) or state.marks.get(active) is not None:
        return None
    return active, trial


def _has_failed(state: ProductState, letter: Generation) -> bool:
    mark = state.marks.get(letter)
    return bool(letter.letter) and mark is not None and mark.kind == "failed"


def _before(state: ProductState, active: Generation) -> Generation:
    """What to go back to."""
    before = state.links.previous()
    if before is None or before == active or not state.generations.path(before).is_dir():
        return active.baseline
    return before


def _check_health(state: ProductState, active: Generation, before: Generation) -> str:
    changed = state.generations.changed_seals(before, active)
    trees = {name: state.store.tree(seal) for name, seal in changed.items()}
    return run_health_checks(state.generations.baseline(active), trees)
