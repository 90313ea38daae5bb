"""Moving to another baseline: after a full update, and when a person changes the graft points.

What is at the graft points decides which baseline that is. A folder that replaced the link is what
a full update has brought. So is a tree that was changed in place: a package manager that writes
through the link puts its files there.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.fetch.client import RepositoryClient
from repoint.device.os_errors import explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation, GraftPoint
from repoint.device.store.trees.intact import Damage, examine
from repoint.device.strategy.strategy import replaced_points, strategy_of, strategy_type
from repoint.device.update.enrolment.enroll import GraftRequest, adopt, take_trees
from repoint.device.update.enrolment.preflight import require_place, require_points
from repoint.device.update.enrolment.recognize import (
    BaselineFilter,
    Installed,
    OtherComponentsError,
    recognize,
)
from repoint.host.host import Host
from repoint.model.baseline import Baseline
from repoint.model.tree import Entry


def supersede(
    state: ProductState, host: Host, client: RepositoryClient, damage: Damage, *, now: int
) -> Generation | None:
    """Move to the baseline that a full update has put at the graft points, if one has.

    A component that the baseline does not have is no longer cared for: what is at its graft point
    becomes a plain folder.

    Args:
        state: The product; the store must be locked.
        host: The machine.
        client: The product's repository.
        damage: What was changed in place in the trees that are active.
        now: Seconds since 1970.

    Returns:
        The baseline that is active now, or None if the device has not moved.

    Raises:
        DifferentTreesError: The trees at the graft points are not those of a baseline.
        OtherComponentsError: They are those of a baseline with other components.
    """
    if not damage and not replaced_points(state, host):
        return None
    points = state.documents.enrolment().grafts
    _move(state, host, client, _Change(points, damage), now=now)
    return state.links.active()


def add_graft(
    state: ProductState,
    host: Host,
    client: RepositoryClient,
    requests: dict[str, GraftRequest],
    *,
    now: int,
) -> Enrolment:
    """Add graft points, and move to the baseline that has these components.

    Raises:
        EnrolmentRefusedError: A graft point cannot be used, or no baseline with these components is
            installed. Nothing is changed.
    """
    points = state.documents.enrolment().grafts
    for point in points:
        if point.component in requests:
            raise EnrolmentRefusedError(
                f"{point.component} of {state.name} has a graft point already: {point.path}",
                hint=f"Run {state.command(f'graft remove {point.component}')} first to move it",
            )
    added = tuple(
        GraftPoint(
            name,
            str(strategy_type(r.strategy)(host).resolve(r.path, state.store)),
            r.program,
            r.strategy,
        )
        for name, r in requests.items()
    )
    return _move(state, host, client, _Change((*points, *added), _damage(state)), now=now)


def remove_graft(
    state: ProductState, host: Host, client: RepositoryClient, component: str, *, now: int
) -> Enrolment:
    """Remove a graft point, and move to the baseline without that component.

    Raises:
        EnrolmentRefusedError: There is no such graft point, or no baseline without it is installed.
            Nothing is changed.
    """
    points = state.documents.enrolment().grafts
    left = tuple(point for point in points if point.component != component)
    if left == points or not left:
        known = ", ".join(point.component for point in points)
        problem = "has no graft point" if left else "has no other graft point than that"
        raise EnrolmentRefusedError(
            f"{state.name} {problem} for {component}",
            hint=f"It has: {known}. {state.command('unenroll')} removes the product",
        )
    try:
        return _move(state, host, client, _Change(left, _damage(state)), now=now)
    except OtherComponentsError as error:
        raise EnrolmentRefusedError(
            f"The release of {state.name} that is installed has the component {component}",
            hint="Install a release without it first; "
            f"{state.command('unenroll')} removes the product",
        ) from error


class _Change:
    """The graft points that the device is to have, and what is damaged."""

    def __init__(self, points: Sequence[GraftPoint], damage: Damage) -> None:
        self.points = tuple(points)
        self.damage = damage


def _damage(state: ProductState) -> Damage:
    active = state.links.active()
    return examine(state, active) if active is not None else {}


def _move(
    state: ProductState, host: Host, client: RepositoryClient, change: _Change, *, now: int
) -> Enrolment:
    """Recognise the baseline, verify its trees in the store, and commit to it."""
    old = state.documents.enrolment()
    before = state.generations.baseline(Generation.of(old.baseline))
    installed = _installed(state, host, change, before)
    known = set(old.grafts)
    require_points(state, host, installed.points, new=[p for p in change.points if p not in known])
    client.forget_version()
    client.has_news()
    client.refresh()
    wanted = BaselineFilter(platform=old.baseline.platform)
    baseline = recognize(client, state, host, installed, wanted)
    kept = tuple(p for p in installed.points if baseline.component(p.component) is not None)
    replaced = [p for p in kept if p in known and strategy_of(p, host).is_replaced(state, p)]
    require_points(state, host, kept, new=replaced)
    require_place(state, baseline, kept, installed.sources)
    with explained(f"move to {baseline.name}"):
        take_trees(state, host, baseline, installed)
        # Before the commit: afterwards, their links would lead nowhere.
        for point in old.grafts:
            if point not in kept:
                strategy_of(point, host).give_back(state, point, before.component(point.component))
    moved = msgspec.structs.replace(old, baseline=baseline.name, grafts=kept, enrolled=now)
    adopt(state, host, baseline, moved, now)
    return moved


def _installed(state: ProductState, host: Host, change: _Change, before: Baseline) -> Installed:
    """Return where the files of each component are, without any improvement."""
    known = set(state.documents.enrolment().grafts)
    sources: dict[str, Path] = {}
    entries: dict[str, tuple[Entry, ...]] = {}
    added: dict[str, frozenset[Entry]] = {}
    for point in change.points:
        name, component = point.component, before.component(point.component)
        sources[name] = Path(point.path).resolve()
        if point not in known or strategy_of(point, host).is_replaced(state, point):
            continue
        if name in change.damage:
            added[name] = _added_by_improvement(state, name)
        elif component is not None:
            sources[name] = state.store.tree(component.seal)
            if strategy_type(point.strategy).runs_from_store:
                entries[name] = component.entries
    return Installed(change.points, sources, entries, added, enrolled=True)


def _added_by_improvement(state: ProductState, component: str) -> frozenset[Entry]:
    active = state.links.active()
    if active is None or not active.letter:
        return frozenset()
    old = {entry.path for entry in state.generations.entries(active.baseline, component)}
    new = state.generations.entries(active, component)
    return frozenset(entry for entry in new if entry.path not in old)
