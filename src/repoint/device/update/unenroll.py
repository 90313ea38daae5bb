"""Taking a product out of Repoint: the baseline stands at its graft points again, as folders."""

from __future__ import annotations

import shutil

from repoint.device.errors import StillRunningError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.strategy.strategy import strategy_of
from repoint.fs.durable import sync
from repoint.host.host import Host
from repoint.tree.verify import verify_tree


def unenroll(state: ProductState, host: Host) -> None:
    """Put the baseline's trees back as plain folders and forget the product.

    Each graft point changes by one exchange. The product must be at its baseline.

    Raises:
        StillRunningError: An improvement is active or waits.
    """
    active = state.links.active()
    if active is None or active.letter or state.links.staged() is not None:
        raise StillRunningError(
            f"An improvement of {state.name} is installed",
            hint="Remove it first with `repoint remove`",
        )
    baseline = state.generations.baseline(active)
    with explained(f"take {state.name} out", COMPLETED_NEXT):
        for point in state.documents.enrolment().grafts:
            component = baseline.component(point.component)
            if component is None:
                continue
            old = state.store.tree(component.seal)
            verify_tree(old, component.entries, component.seal, ignore=component.ignore)
            strategy_of(point, host).give_back(state, point, component)
        (state.path / "enrolment.json").unlink()
        # Before anything that it speaks of goes.
        sync(state.path)
        shutil.rmtree(state.path)
