"""Settling: the active letter is confirmed, waited for, or taken back; `trial` has the rules."""

from __future__ import annotations

import time
from collections.abc import Collection
from pathlib import Path

import msgspec

from repoint.device.census import census_of
from repoint.device.errors import HealthCheckError
from repoint.device.exposure import outdated_uses
from repoint.device.files import COMPLETED_NEXT, explained
from repoint.device.health import run_health_checks
from repoint.device.records import Generation, HistoryEntry, Mark
from repoint.device.store import ProductStore
from repoint.device.strategy import show_active
from repoint.device.trial import HOLDS, TRIES, WAITS, Trial, Verdict, counted, is_spent, judge
from repoint.device.units import (
    Unit,
    go_on_with_start,
    is_booted,
    look_at,
    machine_state,
    named_in,
    start_anew,
    stop_unit,
    unit_of,
)

_BOOT = Path("/proc/sys/kernel/random/boot_id")


def note_services(product: ProductStore) -> None:
    """Remember which services run from what a staged letter changes.

    When it comes into force at a start of the machine, nothing runs from which to see that.
    """
    if product.staged() is None or not is_booted():
        return
    found: dict[str, dict[Unit, None]] = {}
    for component, use in outdated_uses(product, census_of(product.store)):
        unit = unit_of(use.pid)
        if unit is not None:
            found.setdefault(component, {})[unit] = None
    services = {component: tuple(units) for component, units in sorted(found.items())}
    if services and services != product.services():
        product.set_services(services)


def begin_trial(
    product: ProductStore, letter: Generation, before: Generation, running: Collection[Unit]
) -> None:
    """Write down what a letter has to show once it is switched to, if it has to show anything.

    Services are waited for wherever it is known that they run from what changes: by a look at the
    processes, now or while it was staged, or by the command of the enrolment. Where none is known,
    but something of the system changes, the machine has to come to the end of its start.

    Args:
        product: The product.
        letter: What is switched to.
        before: What is active still.
        running: Services that were stopped for it, and are started again.
    """
    if product.is_confirmed(letter) or not is_booted():
        return
    changed = _changed(product, before, letter)
    points = [point for point in product.enrolment().grafts if point.component in changed]
    parts = [part for part in product.baseline(letter).components if part.name in changed]
    seen = product.services()
    services = dict.fromkeys(running)
    for point in points:
        services |= dict.fromkeys((*named_in(point.program), *seen.get(point.component, ())))
    scopes = {part.restart for part in parts}
    of_system = "service" in scopes or any(point.strategy == "sysext" for point in points)
    whole = bool(scopes & {"session", "system"}) or (of_system and not services)
    if services or whole:
        product.set_trial(
            Trial(
                letter.folder, _boot(), time.monotonic(), services=tuple(services), whole=whole,
                starting=machine_state() == "starting",
            )
        )  # fmt: skip


def look(product: ProductStore) -> Verdict:
    """What is to become of the active letter, by how its services go now."""
    found = _undecided(product)
    if found is None or not is_booted():
        return HOLDS
    _, trial = found
    return judge(trial, look_at(trial.services), machine_state(), time.monotonic())


def count_start(product: ProductStore, *, now: int) -> None:
    """Count this start of the machine, and take the letter back that had all its tries.

    Called before anything is merged: whatever the letter does to the machine, it is counted.
    """
    found = _undecided(product)
    if found is None:
        return
    active, trial = found
    here = counted(trial, _boot(), time.monotonic())
    if not is_spent(here):
        if here is not trial:
            product.set_trial(here)
        return
    why = f"{TRIES} starts of the machine did not come so far that it could be confirmed"
    product.set_mark(active, Mark("failed", now, why))
    product.point_active(_before(product, active))
    product.record(HistoryEntry(now, "failed", active.label, why))
    product.end_trial()


def settle(product: ProductStore, *, now: int) -> bool:
    """Confirm the active generation, or go back; whether that is decided.

    Raises:
        HealthCheckError: It failed; what ran before is active again.
    """
    active = product.active()
    if active is None or product.is_confirmed(active):
        return True
    verdict = look(product)
    if verdict == WAITS:
        return False
    before = _before(product, active)
    failure = verdict.why or _check_health(product, active, before)
    with explained(f"confirm {active.label}", COMPLETED_NEXT):
        if not failure:
            product.confirm(active)
            product.record(HistoryEntry(now, "confirmed", active.label))
            product.end_trial()
            return True
        _take_back(product, active, failure, now)
        product.record(HistoryEntry(now, "failed", active.label, failure))
    raise failed(active, failure, before)


def failed(letter: Generation, why: str, before: Generation) -> HealthCheckError:
    """What a person is told of a letter that was taken back."""
    return HealthCheckError(
        f"{letter.label} failed ({why}); {before.label} is active again",
        hint=f"{letter.label} is not tried again here; tell the vendor what `repoint history` says",
    )


def finish_trial(product: ProductStore) -> None:
    """Do what remains to be done of a trial that is decided: idempotent, for every start.

    Of a letter that failed: its services are stopped, what ran before becomes active, and they are
    started again with that.
    """
    trial = product.trial()
    letter = Generation.from_folder(trial.generation) if trial is not None else None
    if trial is not None and letter is not None and _has_failed(product, letter):
        _return(product, trial)
    else:
        go_back(product)
    if letter is not None and (letter != product.active() or product.is_confirmed(letter)):
        product.end_trial()


def go_back(product: ProductStore) -> None:
    """Return from an active generation that is marked as failed to what ran before it."""
    active = product.active()
    if active is not None and _has_failed(product, active):
        product.point_active(_before(product, active))
        show_active(product)


def _take_back(product: ProductStore, active: Generation, why: str, now: int) -> None:
    """The commit point is the rename of the mark."""
    trial = product.trial()
    if trial is not None and trial.generation == active.folder and is_booted():
        # What rests, nobody asked for.
        wanted = tuple(s.unit for s in look_at(trial.services) if s.state != "inactive" or s.queued)
        if wanted != trial.services:
            product.set_trial(msgspec.structs.replace(trial, services=wanted))
    product.set_mark(active, Mark("failed", now, why))
    finish_trial(product)


def _return(product: ProductStore, trial: Trial) -> None:
    services = trial.services if trial.boot == _boot() and is_booted() else ()
    for unit in services:
        stop_unit(unit)
    try:
        go_back(product)
    finally:
        for unit in services:
            start_anew(unit)
        if services and trial.starting:
            go_on_with_start()


def _undecided(product: ProductStore) -> tuple[Generation, Trial] | None:
    """The active letter and its trial, where neither is decided yet."""
    active, trial = product.active(), product.trial()
    if active is None or trial is None or trial.generation != active.folder:
        return None
    if product.is_confirmed(active) or product.mark(active) is not None:
        return None
    return active, trial


def _has_failed(product: ProductStore, letter: Generation) -> bool:
    mark = product.mark(letter)
    return bool(letter.letter) and mark is not None and mark.kind == "failed"


def _before(product: ProductStore, active: Generation) -> Generation:
    """What to go back to."""
    before = product.previous()
    if before is None or before == active or not product.generation_path(before).is_dir():
        return active.baseline
    return before


def _check_health(product: ProductStore, active: Generation, before: Generation) -> str:
    changed = _changed(product, before, active)
    trees = {name: product.store.tree(seal) for name, seal in changed.items()}
    return run_health_checks(product.baseline(active), trees)


def _changed(product: ProductStore, before: Generation, after: Generation) -> dict[str, str]:
    """The components that differ between two generations, and their seals in the later one."""
    old = product.seals(before)
    return {name: seal for name, seal in product.seals(after).items() if old.get(name) != seal}


def _boot() -> str:
    return _BOOT.read_text().strip()
