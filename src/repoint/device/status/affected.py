"""What must restart for an improvement to be in force."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from repoint.device.status.census import Census, Use
from repoint.device.status.exposure import outdated_uses
from repoint.device.store.product_state import ProductState
from repoint.host.host import Host
from repoint.host.systemd.services import Unit
from repoint.model.baseline import RestartScope
from repoint.model.improvement import Improvement


class Affected(msgspec.Struct, frozen=True):
    """Something that must restart.

    Attributes:
        component: The component that changes.
        scope: What the vendor says must restart for it.
        name: The service, or the kernel's name for the program; empty if nothing runs.
        unit: The systemd service; empty if it is not one.
        pids: Its processes.
        again: True if a restart starts it again.
    """

    component: str
    scope: RestartScope
    name: str
    unit: str
    pids: tuple[int, ...]
    again: bool


def affected_by(
    state: ProductState, host: Host, wanted: Mapping[str, str], census: Census
) -> tuple[Affected, ...]:
    """Return what must restart so that every component runs from the wanted tree.

    A component that changes and that nothing runs from is listed without a name: its scope counts.

    Args:
        state: The product.
        host: The machine.
        wanted: The seal of each component's tree.
        census: The running processes.
    """
    active = state.links.active()
    if active is None:
        return ()
    now = state.generations.seals(active)
    parts = {part.name: part for part in state.generations.baseline(active).components}
    programs = {point.component: point.program for point in state.documents.enrolment().grafts}
    groups: dict[tuple[str, str, str], list[int]] = {}
    for component, use in outdated_uses(state, census, wanted):
        unit = unit_of(host, use)
        key = (component, unit.name if unit else use.name, unit.name if unit else "")
        groups.setdefault(key, []).append(use.pid)
    running = {component for component, _, _ in groups}
    for component, seal in wanted.items():
        if now.get(component) != seal and component not in running:
            groups[component, "", ""] = []
    return tuple(
        Affected(
            component,
            parts[component].restart if component in parts else "app",
            name,
            unit,
            tuple(sorted(pids)),
            bool(unit or programs.get(component)),
        )
        for (component, name, unit), pids in sorted(groups.items())
    )


def unit_of(host: Host, use: Use) -> Unit | None:
    """Return the service of this machine that a process belongs to; a container has its own."""
    return None if use.contained else host.systemd.unit_of(use.pid)


def affected_now(state: ProductState, host: Host, census: Census) -> tuple[Affected, ...]:
    """Return what must restart for the staged, or else the active generation."""
    target = state.links.staged() or state.links.active()
    if target is None:
        return ()
    return affected_by(state, host, state.generations.seals(target), census)


def affected_by_offer(
    state: ProductState, host: Host, improvement: Improvement, census: Census
) -> tuple[Affected, ...]:
    """Return what would have to restart for an improvement that is not installed."""
    active = state.links.active()
    if active is None:
        return ()
    wanted = state.generations.seals(active.baseline)
    wanted |= {part.name: part.seal for part in improvement.components if part.name in wanted}
    return affected_by(state, host, wanted, census)
