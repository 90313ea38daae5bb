"""Removing an improvement: back to the baseline."""

from __future__ import annotations

from repoint.device.errors import NothingToDoError, StoreDamagedError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, Mark
from repoint.tree.errors import SealMismatchError
from repoint.tree.verify import verify_tree


def remove(state: ProductState, *, why: str, now: int) -> Generation:
    """Let the baseline wait in the place of the improvement. The store must be locked.

    The commit point is the rename of the mark that says that the letter was removed; from there
    on it is not installed by itself, and what remains to be done is done by the next start if this
    one is cut off.

    Args:
        state: The product.
        why: What the person gives as the reason.
        now: Seconds since 1970.

    Returns:
        The generation that is removed.

    Raises:
        NothingToDoError: The baseline is active, and nothing is staged.
        StoreDamagedError: The baseline's tree is damaged.
    """
    active, staged = state.links.active(), state.links.staged()
    if active is None or (not active.letter and (staged is None or not staged.letter)):
        raise NothingToDoError(
            f"No improvement of {state.name} is installed", hint="See `repoint status`"
        )
    if not active.letter:
        assert staged is not None  # noqa: S101  # refused above
        with explained(f"remove {staged.label}", COMPLETED_NEXT):
            state.marks.set(staged, Mark("removed", now, why))
            state.links.clear_staged()
            state.history.add(HistoryEntry(now, "removed", staged.label, why))
        return staged
    mark = state.marks.get(active)
    if mark is not None and mark.kind == "removed" and staged == active.baseline:
        return active  # it waits for a restart already; the first reason stands
    baseline = state.generations.baseline(active)
    for component in baseline.components:
        tree = state.store.tree(component.seal)
        try:
            verify_tree(tree, component.entries, component.seal, ignore=component.ignore)
        except SealMismatchError as error:
            raise StoreDamagedError(
                f"The baseline of {component.name} is damaged: {error.message}",
                hint="Reinstall the product, then run `repoint check`; nothing was changed",
            ) from None
    letters = [staged, active] if staged is not None and staged.letter else [active]
    with explained(f"remove {active.label}", COMPLETED_NEXT):
        for letter in letters:
            state.marks.set(letter, Mark("removed", now, why))
        state.links.point_staged(active.baseline)
        for letter in letters:
            state.history.add(HistoryEntry(now, "removed", letter.label, why))
    return active
