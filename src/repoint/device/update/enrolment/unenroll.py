"""Unenrolling a product: its graft points become plain folders with the baseline again."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.device.errors import StillRunningError, StoreDamagedError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.files import damaged
from repoint.device.store.product_state import LEAVING, ProductState
from repoint.device.store.records import Generation, GraftPoint
from repoint.device.store.trees.trees import verify_stored
from repoint.device.strategy.strategy import strategy_of
from repoint.fs.durable import write_durably
from repoint.host.host import Host
from repoint.model.baseline import Baseline
from repoint.tree.errors import SealMismatchError, UnfitTreeError


@dataclass(frozen=True)
class Unenrolled:
    """A product that was unenrolled.

    Attributes:
        product: Its name.
        notes: For each graft point where the baseline is not, what is there, and why.
    """

    product: str
    notes: tuple[str, ...]


def unenroll(state: ProductState, host: Host) -> Unenrolled:
    """Put the baseline's trees back as plain folders, and remove the product from the store.

    Works in every state, as far as the graft points are known: see `Strategy.give_back` for links
    that are gone and trees that are damaged. Each graft point changes by one exchange of names. The
    commit point is the note that the product is leaving.

    Raises:
        StillRunningError: An improvement is active or staged, and can be removed first.
        StoreDamagedError: The graft points are not known.
    """
    points = _points(state)
    baseline = _baseline(state)
    if _has_improvement(state) and baseline is not None and _can_be_removed(state, baseline):
        raise StillRunningError(
            f"An improvement of {state.name} is installed",
            hint=f"Remove it first with {state.command('remove')}",
        )
    with explained(f"unenrol {state.name}", COMPLETED_NEXT):
        notes = [
            strategy_of(point, host).give_back(
                state, point, baseline.component(point.component) if baseline is not None else None
            )
            for point in points
        ]
        # Durable before anything that the graft points may need is removed.
        write_durably(state.path / LEAVING, b"")
        state.remove()
    return Unenrolled(state.name, tuple(filter(None, notes)))


def _points(state: ProductState) -> tuple[GraftPoint, ...]:
    try:
        return state.documents.grafts()
    except StoreDamagedError as error:
        raise StoreDamagedError(
            error.message,
            hint=f"Replace each link that `find / -lname '{state.links.active_path}/*'` lists by "
            f"the vendor's folder, then remove {state.path}; nothing was changed",
        ) from error


def _baseline(state: ProductState) -> Baseline | None:
    """Return the baseline, as far as the records are readable."""
    try:
        active = state.links.active()
    except StoreDamagedError:
        active = None
    try:
        generation = active or Generation.of(state.documents.enrolment().baseline)
        return state.generations.baseline(generation)
    except StoreDamagedError:
        return None


def _has_improvement(state: ProductState) -> bool:
    try:
        active = state.links.active()
        return (active is not None and bool(active.letter)) or state.links.staged() is not None
    except StoreDamagedError:
        return False


def _can_be_removed(state: ProductState, baseline: Baseline) -> bool:
    """Return whether the improvement can be removed.

    What a removal reads must be readable, and the baseline's trees must be as they should be.
    """
    try:
        _read_all(state)
        for component in baseline.components:
            tree = state.store.tree(component.seal)
            verify_stored(tree, component.entries, component.seal, ignore=component.ignore)
    except (SealMismatchError, UnfitTreeError, StoreDamagedError, OSError):
        return False
    return True


def _read_all(state: ProductState) -> None:
    """Read each record that a removal reads or writes."""
    documents = state.documents
    documents.enrolment()
    documents.kept_grafts()
    documents.settings()
    documents.catalog()
    documents.last_check()
    state.trials.current()
    for generation in filter(None, (state.links.active(), state.links.staged())):
        state.marks.get(generation)
    for record in state.path.glob("*.json*"):
        if not record.is_file():
            raise damaged(record, "it is not a file")
