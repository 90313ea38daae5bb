"""Which processes run code that an installed improvement has replaced."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.host.processes import Census, Use
from repoint.model.tree import Entry
from repoint.model.version import Letter, Version
from repoint.tree.compare import apply_layer


@dataclass(frozen=True)
class Exposed:
    """A process that is still exposed.

    Attributes:
        use: The process and the tree it runs from.
        component: The component.
        runs: The generation that the tree belongs to.
        replaced: Files it has mapped that the installed improvement changes or removes.
    """

    use: Use
    component: str
    runs: Generation
    replaced: tuple[str, ...]


def find_exposed(state: ProductState, census: Census) -> list[Exposed]:
    """The processes that run from an older tree than the newest installed one.

    Installed is what is active, or a newer improvement that is staged.
    """
    target = _newest(state)
    if target is None:
        return []
    owners = _owners(state)
    wanted = state.generations.seals(target)
    found = []
    for use in census.uses:
        for component, generation in owners.get(use.seal, []):
            if wanted.get(component) == use.seal or _order(generation) >= _order(target):
                continue
            replaced = _replaced(state, component, generation, target, use)
            found.append(Exposed(use, component, generation, replaced))
            break
    return found


def outdated_uses(
    state: ProductState, census: Census, wanted: Mapping[str, str] | None = None
) -> list[tuple[str, Use]]:
    """The processes that would have to restart to run the trees that are wanted.

    Args:
        state: The product.
        census: The running processes.
        wanted: The seal of each component's tree; what is staged, or else what is active, where
            it is not given.
    """
    target = state.links.staged() or state.links.active()
    if target is None:
        return []
    owners = _owners(state)
    wanted = state.generations.seals(target) if wanted is None else wanted
    return [
        (owners[use.seal][0][0], use)
        for use in census.uses
        if use.seal in owners and use.seal not in wanted.values()
    ]


def entries_of(state: ProductState, generation: Generation, component: str) -> tuple[Entry, ...]:
    """What the tree of a component holds in a generation."""
    found = state.generations.baseline(generation).component(component)
    entries = found.entries if found is not None else ()
    improvement = state.generations.improvement(generation)
    improved = improvement.component(component) if improvement is not None else None
    return apply_layer(entries, improved.layer) if improved is not None else entries


def _newest(state: ProductState) -> Generation | None:
    active, staged = state.links.active(), state.links.staged()
    if active is None or staged is None:
        return active
    return max(active, staged, key=_order)


def _owners(state: ProductState) -> dict[str, list[tuple[str, Generation]]]:
    """For each tree its component and generations, the newest first."""
    owners: dict[str, list[tuple[str, Generation]]] = {}
    for generation in sorted(state.generations.all(), key=_order, reverse=True):
        for component, seal in state.generations.seals(generation).items():
            owners.setdefault(seal, []).append((component, generation))
    return owners


def _replaced(
    state: ProductState, component: str, old: Generation, new: Generation, use: Use
) -> tuple[str, ...]:
    before = {e.path: e.sha256 for e in entries_of(state, old, component)}
    after = {e.path: e.sha256 for e in entries_of(state, new, component)}
    return tuple(
        sorted(path for path in use.files if path in before and after.get(path) != before[path])
    )


def _order(generation: Generation) -> tuple[Version, Version, int, Letter]:
    letter = Letter(generation.letter or "a")
    return Version(generation.version), Version(generation.build), bool(generation.letter), letter
