"""Putting trees and generations into the store."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import msgspec

from repoint.device.store.records import Generation
from repoint.device.store.store import ProductState, Store
from repoint.fs.durable import make_folder, sync
from repoint.fs.removal import remove_tree
from repoint.model.encoding import encode_record
from repoint.model.tree import Entry
from repoint.tree.build import build_tree
from repoint.tree.scan import ALWAYS_IGNORED
from repoint.tree.verify import verify_tree


def add_tree(
    store: Store,
    seal: str,
    entries: tuple[Entry, ...],
    *,
    made: Mapping[str, Path],
    taken: Mapping[str, Path],
    modified: int = 0,
    share: bool = True,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Build a tree beside the others, verify its seal, and give it its name.

    The commit point is the rename to the name that is its seal. A tree that stands there already
    is verified and used.

    Args:
        store: The store.
        seal: The seal that the tree must have.
        entries: What it holds.
        made: As in `build_tree`.
        taken: As in `build_tree`.
        modified: As in `build_tree`.
        share: As in `build_tree`.
        ignore: What programs may have written into a tree that stands there already.
        progress: Told the bytes of each file once it is verified.

    Returns:
        The seal that the tree was found to have.

    Raises:
        SealMismatchError: What was built does not have the seal; it is removed.
    """
    place = store.tree(seal)
    make_folder(store.trees)
    if not place.is_dir():
        beside = store.trees / f".building-{seal}"
        remove_tree(beside)
        try:
            build_tree(beside, entries, made=made, taken=taken, modified=modified, share=share)
            found = verify_tree(beside, entries, seal, ignore=(), progress=progress)
            beside.rename(place)
        except BaseException:
            remove_tree(beside)
            raise
        sync(store.trees)
        return found
    return verify_tree(place, entries, seal, ignore=ignore, progress=progress)


def add_generation(
    state: ProductState,
    generation: Generation,
    seals: Mapping[str, str],
    records: Mapping[str, msgspec.Struct],
) -> None:
    """Write a generation's folder: a link to the tree of each component, and signed records.

    The commit point is the rename of the folder; one that stands there already is kept, because a
    generation never changes.
    """
    place = state.generation_path(generation)
    if place.is_dir():
        return
    beside = place.with_name(f".new-{generation.folder}")
    shutil.rmtree(beside, ignore_errors=True)
    make_folder(place.parent)
    beside.mkdir()
    for component, seal in seals.items():
        (beside / component).symlink_to(os.path.relpath(state.store.tree(seal), place))
    for name, record in records.items():
        with (beside / name).open("wb") as file:
            file.write(encode_record(record))
            file.flush()
            os.fsync(file.fileno())
    sync(beside)
    beside.rename(place)
    sync(place.parent)


def taken_from(tree: Path, entries: Iterable[Entry]) -> dict[str, Path]:
    """Every file of a tree, by its path."""
    return {entry.path: tree / entry.path for entry in entries if entry.kind == "file"}
