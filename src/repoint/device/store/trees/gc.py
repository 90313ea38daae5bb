"""Garbage collection: generations and trees that nothing uses, and leftovers of interruptions."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable

from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store import Store
from repoint.device.store.trees.in_force import bar_trees, rest_trees
from repoint.device.store.trees.intact import forget_verified
from repoint.fs.lock import is_folder_held
from repoint.fs.removal import remove_tree
from repoint.model.errors import RepointError


def collect_garbage(store: Store, running: Callable[[], set[str]]) -> list[str]:
    """Remove superseded generations, and trees that no generation and no process uses.

    Trees that are kept but not in force are laid to rest: see `in_force`.

    The baseline, the active and the staged generation of every product are kept. The store must be
    locked.

    Args:
        store: The store.
        running: Returns the seals of the trees that processes run from; called at most once, and
            only if there may be something to remove.

    Returns:
        The seals of the trees that were removed.
    """

    @functools.cache
    def in_use() -> set[str]:
        return running() | {tree.name for tree in store.trees.glob("[!.]*") if is_folder_held(tree)}

    rest_trees(store)
    bar_trees(store, in_use)
    kept: set[str] = set()
    for state in store.enrolled():
        try:
            kept |= _collect_generations(state, in_use)
        except (RepointError, OSError):
            # Nothing of a damaged product is removed, and nothing of others is kept for it.
            kept |= state.generations.readable_seals()
    removed = []
    for tree in [tree for tree in store.trees.glob("[!.]*") if tree.name not in kept]:
        if tree.name not in in_use():
            # Renamed first, so that an interrupted removal leaves no half tree behind.
            renamed = tree.with_name(f".removing-{tree.name}")
            tree.rename(renamed)
            remove_tree(renamed)
            removed.append(tree.name)
    forget_verified(store, {tree.name for tree in store.trees.glob("[!.]*")})
    return removed


def _collect_generations(state: ProductState, in_use: Callable[[], set[str]]) -> set[str]:
    """Remove a product's superseded generations; return the seals of those that remain."""
    # Until an enrolment is finished its baseline is not active, and may be all there is.
    needed = {Generation.of(state.documents.enrolment().baseline), state.links.staged()}
    active = state.links.active()
    if active is not None:
        needed |= {active, active.baseline}
        if not state.generations.is_confirmed(active):
            needed.add(state.links.previous())
    kept: set[str] = set()
    for generation in state.generations.all():
        seals = set(state.generations.seals(generation).values())
        # While a process runs from a generation, `status` must be able to name it.
        if generation not in needed and not seals & in_use():
            remove_tree(state.generations.path(generation))
        else:
            kept |= seals
    names = {generation.folder for generation in state.generations.all()}
    for folder in ("extensions", "images"):
        for path in state.path.glob(f"{folder}/[!.]*"):
            if path.name not in names:
                remove_tree(path)
    return kept


def clear_leftovers(store: Store) -> None:
    """Remove partly written trees, and products that are not enrolled. The store must be locked."""
    for left in (*store.trees.glob(".*"), *store.path.glob("verified/.new-*")):
        remove_tree(left)
    for product in store.path.glob("products/*"):
        state = ProductState(store, product.name)
        if not state.is_enrolled():
            # Enrolling was interrupted before its commit, or unenrolling after it.
            state.remove()


def clear_product(state: ProductState) -> None:
    """Remove what interrupted commands have left half done of one product."""
    with contextlib.suppress(OSError):  # not empty: unfinished downloads are kept
        state.downloads.rmdir()
    below = ("generations", "marks", "offers", "extensions", "images")
    for folder in (state.path, *(state.path / name for name in below), state.metadata):
        for left in [*folder.glob(".new-*"), *(folder.glob("tmp*"))]:
            remove_tree(left)
