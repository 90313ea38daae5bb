"""Collecting what nothing uses any more: trees, generations, leftovers of what was cut off."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from pathlib import Path

from repoint.device.status.census import census_of
from repoint.device.store.records import Generation
from repoint.device.store.store import ProductState, Store
from repoint.fs.removal import remove_tree


def collect(store: Store) -> list[str]:
    """Remove generations that are superseded, and trees that no generation and no process uses.

    The baseline, what is active and what is staged are kept for every product. The store must be
    locked.

    Returns:
        The seals of the trees that were removed.
    """
    busy: set[str] | None = None
    kept: set[str] = set()
    for product in store.enrolled():
        # Until an enrolment is finished its baseline is not active, and may be all there is.
        needed = {Generation.of(product.enrolment().baseline), product.staged()}
        active = product.active()
        if active is not None:
            needed |= {active, active.baseline}
            if not product.is_confirmed(active):
                needed.add(product.previous())
        for generation in product.generations():
            seals = set(product.seals(generation).values())
            if generation not in needed:
                busy = _busy(store) if busy is None else busy
                if not seals & busy:
                    shutil.rmtree(product.generation_path(generation))
                    continue
                # A process still runs from it, and `status` must be able to say from what.
            kept |= seals
        names = {generation.folder for generation in product.generations()}
        for folder in ("extensions", "images"):
            for laid_out in product.path.glob(f"{folder}/[!.]*"):
                if laid_out.name not in names:
                    remove_tree(laid_out)
    unused = [tree for tree in store.trees.glob("[!.]*") if tree.name not in kept]
    if unused and busy is None:
        busy = _busy(store)
    removed = []
    for tree in unused:
        if tree.name not in (busy or ()):
            # Renamed first, so that a removal that is cut off leaves no half tree behind.
            going = tree.with_name(f".removing-{tree.name}")
            tree.rename(going)
            remove_tree(going)
            removed.append(tree.name)
    return removed


def _busy(store: Store) -> set[str]:
    """The seals of the trees that a process uses, or that a launched program holds."""
    used = {use.seal for use in census_of(store).uses}
    return used | {tree.name for tree in store.trees.glob("[!.]*") if _is_held(tree)}


def clear_leftovers(store: Store) -> None:
    """Remove what an interrupted command has left half done. The store must be locked."""
    for tree in store.trees.glob(".*"):
        remove_tree(tree)
    for product in store.path.glob("products/*"):
        if (product / "enrolment.json").exists():
            _clear_product(ProductState(store, product.name))
        else:
            # Not enrolled yet, or no longer: cut off before the first or after the last.
            remove_tree(product)


def _clear_product(state: ProductState) -> None:
    with contextlib.suppress(OSError):  # what is still on its way is kept
        state.downloads.rmdir()
    below = ("generations", "marks", "offers", "extensions", "images")
    for folder in (state.path, *(state.path / name for name in below), state.metadata):
        for left in [*folder.glob(".new-*"), *(folder.glob("tmp*"))]:
            if left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                left.unlink()


def _is_held(tree: Path) -> bool:
    """Whether a launched program holds the tree (see `launching`)."""
    descriptor = os.open(tree, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
