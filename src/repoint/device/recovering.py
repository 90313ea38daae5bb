"""What every start does first: finish or clean up what an earlier one was cut off in."""

from __future__ import annotations

import contextlib
from pathlib import Path

from repoint.device.activating import go_back, settle
from repoint.device.collecting import clear_leftovers
from repoint.device.errors import CannotMergeError, HealthCheckError, SupersededError
from repoint.device.grafts import forget_graft, graft, is_grafted, is_prepared
from repoint.device.records import Enrolment, Generation, GraftPoint, HistoryEntry
from repoint.device.store import ProductStore, Store
from repoint.device.strategy import show_active
from repoint.seal.errors import SealMismatchError, UnfitTreeError
from repoint.seal.verify import verify_tree


def recover(store: Store, *, now: int, settling: bool = True) -> None:
    """Bring every product to a state that an undisturbed command would have left.

    The store must be locked. What can be found half done:

    - an enrolment that was committed, but not all of its links: they are put in place, and the
      history says so;
    - something staged that is active already: the link is dropped;
    - an active letter that is marked as failed: what ran before becomes active again;
    - an active letter that is marked as removed: the baseline is staged;
    - an active letter that is not confirmed yet: its health check is run;
    - trees and files that were being written: they are removed.

    Args:
        store: The store.
        now: Seconds since 1970.
        settling: Whether health checks are run and layers merged; else that is left to the next
            command.
    """
    if not store.path.is_dir():
        return
    clear_leftovers(store)
    for product in store.enrolled():
        _recover(product, now, settling)


def _recover(product: ProductStore, now: int, settling: bool) -> None:
    enrolment = product.enrolment()
    name = enrolment.baseline
    baseline = Generation(name.version, name.build)
    active = product.active()
    if active is None or active.baseline != baseline:
        product.clear_staged()
        product.forget_previous()
        product.point_active(baseline)
        active = baseline
    for point in enrolment.grafts:
        if point.strategy == "tree":
            _finish_graft(product, point, baseline)
    # Before anything else is done: what has moved on must not be shadowed a moment longer. Where
    # the system does not merge, `status` says so. Who has mounts of its own cannot tell.
    if settling:
        with contextlib.suppress(SupersededError, CannotMergeError):
            show_active(product)
    active = product.active() or baseline
    _finish_history(product, enrolment, baseline)
    if product.staged() is None:
        product.clear_staged()
    mark = product.mark(active)
    if active.letter and mark is not None and mark.kind == "failed":
        go_back(product, now=now)
    elif active.letter and mark is not None and product.staged() is None:
        product.point_staged(baseline)
    elif settling and not product.is_confirmed(active):
        with contextlib.suppress(HealthCheckError):
            settle(product, now=now)


def _finish_history(product: ProductStore, enrolment: Enrolment, baseline: Generation) -> None:
    when = enrolment.enrolled
    if not any((e.event, e.when) == ("enrolled", when) for e in product.history()):
        product.record(HistoryEntry(when, "enrolled", baseline.label, str(enrolment.baseline)))


def _finish_graft(product: ProductStore, point: GraftPoint, baseline: Generation) -> None:
    component = product.baseline(baseline).component(point.component)
    if is_grafted(product, point) and component is not None:
        graft(product, point, component.entries)  # clears what stood there, if that was cut off
        return
    if component is None or not is_prepared(point):
        return
    try:
        verify_tree(Path(point.path), component.entries, component.seal, ignore=component.ignore)
    except (SealMismatchError, UnfitTreeError):
        # Somebody put something else there in the meantime; it is not ours to remove.
        forget_graft(point)
    else:
        graft(product, point, component.entries)
