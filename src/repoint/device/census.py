"""Looking at the running processes with a store's eyes."""

from __future__ import annotations

from repoint.device.grafts import adopted_from
from repoint.device.processes import Census, take_census
from repoint.device.store import Store


def census_of(store: Store) -> Census:
    """All processes that run from the store's trees.

    A program that was started before the enrolment still runs from the folder that stood at the
    graft point then. That folder is gone, but it had the seal of the baseline.
    """
    adopted: dict[str, str] = {}
    for product in store.enrolled():
        active = product.active()
        if active is None:
            continue
        seals = product.seals(active.baseline)
        for point in product.enrolment().grafts:
            if point.component in seals:
                adopted[adopted_from(point)] = seals[point.component]
    return take_census(store.trees, adopted)
