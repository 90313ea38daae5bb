"""The start of a trial: what a letter has to prove once it is active."""

from __future__ import annotations

from collections.abc import Collection

from repoint.device.status.affected import unit_of
from repoint.device.status.census import census_of
from repoint.device.status.exposure import outdated_uses
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, Trial
from repoint.device.strategy.strategy import strategy_type
from repoint.host.host import Host
from repoint.host.systemd.services import Unit, restarted_services


def begin_trial(
    state: ProductState,
    host: Host,
    letter: Generation,
    before: Generation,
    running: Collection[Unit],
) -> None:
    """Write the trial record of a letter, if it has to prove anything once it is active.

    It waits for all services that are known to run from what changes: seen among the processes,
    now or while the letter was staged, or named by the command of the enrolment. If none is known
    but the system changes, the machine has to finish its start.

    Args:
        state: The product.
        host: The machine.
        letter: The letter to activate.
        before: The generation that is still active.
        running: The services that were stopped for the activation, and are started again.
    """
    if state.generations.is_confirmed(letter) or not host.systemd.is_booted():
        return
    changed = state.generations.changed_seals(before, letter)
    points = [point for point in state.documents.enrolment().grafts if point.component in changed]
    components = state.generations.baseline(letter).components
    scopes = {component.restart for component in components if component.name in changed}
    recorded = state.trials.services()
    services = dict.fromkeys(running)
    for point in points:
        known = (*restarted_services(point.program), *recorded.get(point.component, ()))
        services |= dict.fromkeys(known)
    of_system = "service" in scopes or any(
        strategy_type(point.strategy).changes_system for point in points
    )
    whole = bool(scopes & {"session", "system"}) or (of_system and not services)
    if services or whole:
        state.trials.set(
            Trial(
                generation=letter.folder,
                boot=host.boot.identity(),
                began=host.boot.uptime(),
                services=tuple(services),
                whole=whole,
                starting=host.systemd.machine_state() == "starting",
            )
        )


def record_services(state: ProductState, host: Host) -> None:
    """Record which services run from what a staged letter changes.

    When the letter is activated at a start of the machine, no process shows it any more.
    """
    if state.links.staged() is None or not host.systemd.is_booted():
        return
    units: dict[str, dict[Unit, None]] = {}
    for component, use in outdated_uses(state, census_of(state.store, host)):
        unit = unit_of(host, use)
        if unit is not None:
            units.setdefault(component, {})[unit] = None
    services = {component: tuple(found) for component, found in sorted(units.items())}
    if services and services != state.trials.services():
        state.trials.set_services(services)
