"""Adding sealed trees to the store, and verifying them there.

A tree is *at rest* while no product has it in force: see `in_force`.
"""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from repoint.device.store.store import Store
from repoint.device.store.trees.intact import record_verified
from repoint.fs.durable import make_folder, sync
from repoint.fs.exchange import exchange
from repoint.fs.removal import remove_tree
from repoint.model.tree import Entry
from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.errors import SealMismatchError, UnfitTreeError
from repoint.tree.privileges import without_privileges
from repoint.tree.scan import ALWAYS_IGNORED
from repoint.tree.verify import verify_tree

OPEN, STRIPPED, BARRED = 0o555, 0o1555, 0o500
"""The permissions of a tree's own folder, which the seal does not cover. They say in what state the
tree is: its files may have privileges; they have none; and other accounts cannot enter it."""


def add_tree(
    store: Store,
    seal: str,
    entries: tuple[Entry, ...],
    files: TreeFiles,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Build a tree in the store, at rest, and verify its seal.

    The commit point is the rename to its seal. A tree that exists already is verified and used. If
    it is damaged, it is built anew.

    Args:
        store: The store.
        seal: The seal that the tree must have.
        entries: Its entries.
        files: The files to build it from.
        ignore: Paths that programs may have written into a tree that exists already.
        progress: Called with the size of each file, in bytes, when it is verified.

    Returns:
        The seal that the tree has.

    Raises:
        SealMismatchError: The built tree does not have the seal; it is removed.
    """
    path = store.tree(seal)
    make_folder(store.trees)
    if not path.is_dir():
        temporary = store.trees / f".building-{seal}"
        remove_tree(temporary)
        try:
            build_tree(temporary, without_privileges(entries), files, mode=BARRED)
            verified = verify_tree(
                temporary, entries, seal, ignore=(), progress=progress, at_rest=True
            )
            temporary.rename(path)
        except BaseException:
            remove_tree(temporary)
            raise
        sync(store.trees)
        record_verified(store, seal, entries)
        return verified
    try:
        verified = verify_stored(path, entries, seal, ignore=ignore, progress=progress)
    except (SealMismatchError, UnfitTreeError):
        # It was changed in place. Programs that run from it keep what they have open.
        _replace_tree(store, seal, entries, files, progress)
        verified = seal
    record_verified(store, seal, entries)
    return verified


def _replace_tree(
    store: Store,
    seal: str,
    entries: tuple[Entry, ...],
    files: TreeFiles,
    progress: Callable[[int], None] | None,
) -> None:
    """Build a damaged tree anew, at rest. The commit point is the exchange of the two names."""
    temporary = store.trees / f".building-{seal}"
    remove_tree(temporary)
    try:
        build_tree(temporary, without_privileges(entries), files, mode=BARRED)
        verify_tree(temporary, entries, seal, ignore=(), progress=progress, at_rest=True)
        exchange(temporary, store.tree(seal))
        sync(store.trees)
    finally:
        remove_tree(temporary)


def verify_stored(
    tree: Path,
    entries: Iterable[Entry],
    seal: str,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Verify a tree of the store, whether it is at rest or in force: see `verify_tree`."""
    at_rest = is_at_rest(tree)
    return verify_tree(tree, entries, seal, ignore=ignore, progress=progress, at_rest=at_rest)


def is_at_rest(tree: Path) -> bool:
    """Return whether a tree's files have no privileges, whatever the seal says."""
    return state_of(tree) in (STRIPPED, BARRED)


def state_of(tree: Path) -> int:
    """Return the permissions of a tree's own folder."""
    return stat.S_IMODE(tree.lstat().st_mode)
