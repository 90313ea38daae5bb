"""Which processes run code that an installed improvement has replaced."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from repoint.device.status.census import Census, Use
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.model.version import Letter, Version


class Exposure(msgspec.Struct, frozen=True):
    """A process that is still exposed.

    Attributes:
        use: The process and the tree that it runs from.
        component: The component.
        runs: The generation that the tree belongs to.
        replaced: Files it has mapped or open that the installed improvement changes or removes.
    """

    use: Use
    component: str
    runs: Generation
    replaced: tuple[str, ...]


def find_exposed(state: ProductState, census: Census) -> list[Exposure]:
    """Return the processes that run from an older tree than the newest installed one.

    Installed is the active generation, or a newer improvement that is staged.
    """
    target = _newest(state)
    if target is None:
        return []
    owners = _owners(state)
    wanted = state.generations.seals(target)
    exposed = []
    for use in census.uses:
        for component, generation in owners.get(use.seal, []):
            if wanted.get(component) == use.seal or order(generation) >= order(target):
                continue
            replaced = _replaced(state, component, (generation, target), use)
            exposed.append(Exposure(use, component, generation, replaced))
            break
    return exposed


def find_unknown(state: ProductState, census: Census) -> list[Exposure]:
    """Return the processes that may have read code which the newest installed one replaces."""
    suspects = msgspec.structs.replace(census, uses=census.suspects)
    exposed = {(found.use.pid, found.component) for found in find_exposed(state, census)}
    found = find_exposed(state, suspects)
    return [suspect for suspect in found if (suspect.use.pid, suspect.component) not in exposed]


def outdated_uses(
    state: ProductState, census: Census, wanted: Mapping[str, str] | None = None
) -> list[tuple[str, Use]]:
    """Return the processes that would have to restart to run from the wanted trees.

    Args:
        state: The product.
        census: The running processes.
        wanted: The seal of each component's tree; by default of the staged, or else the active
            generation.

    Returns:
        Each process with the component that it runs from; not what another account only reads.
    """
    target = state.links.staged() or state.links.active()
    if target is None:
        return []
    owners = _owners(state)
    wanted = state.generations.seals(target) if wanted is None else wanted
    return [
        (owners[use.seal][0][0], use)
        for use in (*census.uses, *census.suspects)
        if use.seal in owners and use.seal not in wanted.values() and use.closes
    ]


def _newest(state: ProductState) -> Generation | None:
    active, staged = state.links.active(), state.links.staged()
    if active is None or staged is None:
        return active
    return max(active, staged, key=order)


def _owners(state: ProductState) -> dict[str, list[tuple[str, Generation]]]:
    """The component and the generations of each tree, newest first."""
    owners: dict[str, list[tuple[str, Generation]]] = {}
    for generation in sorted(state.generations.all(), key=order, reverse=True):
        for component, seal in state.generations.seals(generation).items():
            owners.setdefault(seal, []).append((component, generation))
    return owners


def _replaced(
    state: ProductState, component: str, change: tuple[Generation, Generation], use: Use
) -> tuple[str, ...]:
    """The files of a process that differ between an older and a newer generation."""
    before, after = (
        {entry.path: entry.sha256 for entry in state.generations.entries(generation, component)}
        for generation in change
    )
    return tuple(
        sorted(path for path in use.files if path in before and after.get(path) != before[path])
    )


def order(generation: Generation) -> tuple[Version, Version, int, Letter]:
    """Return what orders generations from the oldest to the newest."""
    letter = Letter(generation.letter or "a")
    return Version(generation.version), Version(generation.build), bool(generation.letter), letter
