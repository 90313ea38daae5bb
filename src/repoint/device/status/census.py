"""Looking at the running processes with a store's eyes."""

from __future__ import annotations

from pathlib import Path

from repoint.device.status.exposure import entries_of
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.grafts import adopted_from
from repoint.device.strategy.layer_images import numbers_of
from repoint.host.host import Host
from repoint.host.processes import Census, SharedFile


def census_of(store: Store, host: Host) -> Census:
    """All processes that run from the store's trees.

    A program that was started before the enrolment still runs from the folder that stood at the
    graft point then. That folder is gone, but it had the seal of the baseline.
    """
    adopted: dict[str, str] = {}
    shared: dict[str, SharedFile] = {}
    for product in store.enrolled():
        active = product.links.active()
        if active is None:
            continue
        seals = product.generations.seals(active.baseline)
        for point in product.documents.enrolment().grafts:
            if point.component in seals and point.strategy == "tree":
                adopted[adopted_from(point)] = seals[point.component]
            elif point.component in seals:
                shared |= _shared_files(product, host, point, seals[point.component])
    return host.processes.take_census(store.trees, adopted, shared)


def seals_in_use(store: Store, host: Host) -> set[str]:
    """Return the seals of the trees that processes run from."""
    return {use.seal for use in census_of(store, host).uses}


def _shared_files(
    state: ProductState, host: Host, point: GraftPoint, base: str
) -> dict[str, SharedFile]:
    """Files of the system that some generation changes.

    A file that is merged from a folder is the very file of the extension, which is that of the tree
    by another name; one that is merged from an image has its number there. The kernel tells the
    number. What has another one is what the base held.
    """
    numbers: dict[str, dict[int, str]] = {}
    images: dict[str, dict[int, str]] = {}
    for generation in state.generations.all():
        seal = state.generations.seals(generation).get(point.component, base)
        if seal == base:
            continue
        before = {e.path: e for e in entries_of(state, generation.baseline, point.component)}
        after = {e.path: e for e in entries_of(state, generation, point.component)}
        merged = numbers_of(state, generation)
        for path, entry in before.items():
            if entry.kind != "file" or after.get(path) == entry:
                continue
            known = numbers.setdefault(path, {})
            if path in merged:
                images.setdefault(path, {})[merged[path]] = seal
            try:
                known[(state.store.tree(seal) / path).stat().st_ino] = seal
            except OSError:
                continue  # this generation removes it
    return {
        (place := str(Path(point.path, path))): SharedFile(
            path, known, base, images.get(path, {}), host.sysext.device_below(place)
        )
        for path, known in numbers.items()
    }
