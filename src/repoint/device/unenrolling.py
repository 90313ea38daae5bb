"""Taking a product out of Repoint: the baseline stands at its graft points again, as folders."""

from __future__ import annotations

import shutil

from repoint.device.errors import StillRunningError
from repoint.device.files import COMPLETED_NEXT, explained
from repoint.device.store import ProductStore
from repoint.device.strategy import strategy_of
from repoint.seal.build import sync
from repoint.seal.verify import verify_tree


def unenroll(product: ProductStore) -> None:
    """Put the baseline's trees back as plain folders and forget the product.

    Each graft point changes by one exchange. The product must be at its baseline.

    Raises:
        StillRunningError: An improvement is active or waits.
    """
    active = product.active()
    if active is None or active.letter or product.staged() is not None:
        raise StillRunningError(
            f"An improvement of {product.name} is installed",
            hint="Remove it first with `repoint remove`",
        )
    baseline = product.baseline(active)
    with explained(f"take {product.name} out", COMPLETED_NEXT):
        for point in product.enrolment().grafts:
            component = baseline.component(point.component)
            if component is None:
                continue
            old = product.store.tree(component.seal)
            verify_tree(old, component.entries, component.seal, ignore=component.ignore)
            strategy_of(point).give_back(product, point, component)
        (product.path / "enrolment.json").unlink()
        # Before anything that it speaks of goes.
        sync(product.path)
        shutil.rmtree(product.path)
