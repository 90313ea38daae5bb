"""Removing an improvement: back to the baseline."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.device.errors import StoreDamagedError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.outcomes import Nothing
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, Mark
from repoint.device.store.trees.trees import verify_stored
from repoint.model.errors import RepointError
from repoint.model.texts import MAX_REASON, check_text
from repoint.tree.errors import SealMismatchError, UnfitTreeError


@dataclass(frozen=True)
class Removed:
    """A removal.

    Attributes:
        generation: The generation that is removed.
        is_complete: True if the baseline is active; false if that waits for a restart.
    """

    generation: Generation
    is_complete: bool


def remove(state: ProductState, *, why: str, now: int) -> Generation | Nothing:
    """Stage the baseline in place of the improvement. The store must be locked.

    The commit point is the rename of the mark that says that the letter was removed. From then on
    it is not installed automatically, and the next command completes the removal if this one is
    interrupted.

    Args:
        state: The product.
        why: The reason that the person gives.
        now: Seconds since 1970.

    Returns:
        The generation that is removed, or why there is nothing to remove.

    Raises:
        InvalidRecordError: The reason is too long, or contains a control character.
        StoreDamagedError: The baseline's tree is damaged.
    """
    why = why.strip()
    if why:
        check_text("reason", why, MAX_REASON, lines=False)
    active, staged = state.links.active(), state.links.staged()
    letters = [g for g in (staged, active) if g is not None and g.letter]
    if active is None or not letters:
        message = f"No improvement of {state.name} is installed"
        return Nothing("not installed", message, "See `repoint status`")
    removed = letters[-1]
    if active.letter:
        mark = state.marks.get(active)
        if mark is not None and mark.kind == "removed" and staged == active.baseline:
            return active  # its removal waits for a restart already; the first reason stands
        _verify_baseline(state, active)
    with explained(f"remove {removed.label}", COMPLETED_NEXT):
        for letter in letters:
            state.marks.set(letter, Mark("removed", now, why))
        if active.letter:
            state.links.point_staged(active.baseline)
        else:
            state.links.clear_staged()
        for letter in letters:
            state.history.add(HistoryEntry(now, "removed", letter.label, why))
    return removed


def _verify_baseline(state: ProductState, active: Generation) -> None:
    for component in state.generations.baseline(active).components:
        tree = state.store.tree(component.seal)
        try:
            verify_stored(tree, component.entries, component.seal, ignore=component.ignore)
        except (SealMismatchError, UnfitTreeError, FileNotFoundError) as error:
            reason = error.message if isinstance(error, RepointError) else "its tree is missing"
            raise StoreDamagedError(
                f"The baseline of {component.name} is damaged: {reason}",
                hint="Reinstall the product, then run `repoint check`; nothing was changed",
            ) from None
