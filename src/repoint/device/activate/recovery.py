"""What every start does first: finish or clean up what an earlier one was cut off in."""

from __future__ import annotations

import contextlib

from repoint.device.activate.confirmation import count_start, finish_trial, go_back, settle
from repoint.device.errors import HealthCheckError, SupersededError
from repoint.device.store.enrolment import finish_enrolment, is_unfinished, reset_to_baseline
from repoint.device.store.gc import clear_leftovers
from repoint.device.store.history_completion import complete_history
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store import Store
from repoint.device.strategy.strategy import show_active, strategy_of
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host


def recover(store: Store, host: Host, *, now: int, settling: bool = True) -> None:
    """Bring every product to a state that an undisturbed command would have left.

    The store must be locked. What can be found half done:

    - an enrolment that was committed, but not all of its links: they are put in place;
    - a product that was taken out but for its folder: that goes too;
    - something staged that is active already, or that is marked as removed: the link is dropped;
    - an active letter that is marked as failed: what ran before becomes active again;
    - a history that does not say all of it: it is completed;
    - an active letter that is marked as removed: the baseline is staged;
    - an active letter that is not confirmed yet: it is confirmed or taken back, or waited for, and
      a start of the machine that did not come so far is counted;
    - trees and files that were being written: they are removed.

    Args:
        store: The store.
        host: The machine.
        now: Seconds since 1970.
        settling: Whether health checks are run and layers merged; else that is left to the next
            command.
    """
    if not store.path.is_dir():
        return
    clear_leftovers(store)
    for product in store.enrolled():
        _recover(product, host, now, settling)


def _recover(state: ProductState, host: Host, now: int, settling: bool) -> None:
    enrolment = state.documents.enrolment()
    baseline = Generation.of(enrolment.baseline)
    if is_unfinished(state):
        reset_to_baseline(state, baseline)
    kept = []
    for point in enrolment.grafts:
        component = state.generations.baseline(baseline).component(point.component)
        if component is not None:
            kept.append(strategy_of(point, host).finish(state, point, component))
    if settling:
        count_start(state, host, now=now)
    # Before anything else is done: what has moved on must not be shadowed a moment longer. Where
    # the system does not merge, `status` says so. Who has mounts of its own cannot tell.
    if settling:
        with contextlib.suppress(SupersededError, CannotMergeError):
            show_active(state, host)
    active = state.links.active() or baseline
    staged = state.links.staged()
    if staged is None or (staged.letter and state.marks.get(staged) is not None):
        state.links.clear_staged()
    if settling:
        finish_trial(state, host)
    else:
        go_back(state, host)
    active = state.links.active() or baseline
    mark = state.marks.get(active)
    complete_history(state, now=now, kept=kept)
    finish_enrolment(state)
    if active.letter and mark is not None and state.links.staged() is None:
        state.links.point_staged(baseline)
    elif settling and not state.generations.is_confirmed(active):
        with contextlib.suppress(HealthCheckError):
            settle(state, host, now=now)
