"""Unenrolling a product: its graft points become plain folders with the baseline again."""

from __future__ import annotations

from repoint.device.errors import StillRunningError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.trees import verify_stored
from repoint.device.strategy.strategy import strategy_of
from repoint.fs.durable import sync
from repoint.fs.removal import remove_tree
from repoint.host.host import Host


def unenroll(state: ProductState, host: Host) -> None:
    """Put the baseline's trees back as plain folders, and remove the product from the store.

    Each graft point changes by one exchange of names. The commit point is the removal of the
    enrolment.

    Raises:
        StillRunningError: An improvement is active or staged.
    """
    active = state.links.active()
    if active is None or active.letter or state.links.staged() is not None:
        raise StillRunningError(
            f"An improvement of {state.name} is installed",
            hint="Remove it first with `repoint remove`",
        )
    baseline = state.generations.baseline(active)
    with explained(f"unenrol {state.name}", COMPLETED_NEXT):
        for point in state.documents.enrolment().grafts:
            component = baseline.component(point.component)
            if component is None:
                continue
            tree = state.store.tree(component.seal)
            verify_stored(tree, component.entries, component.seal, ignore=component.ignore)
            strategy_of(point, host).give_back(state, point, component)
        (state.path / "enrolment.json").unlink()
        # Durable before anything that the enrolment refers to is removed.
        sync(state.path)
        remove_tree(state.path)
