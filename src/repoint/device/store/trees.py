"""Adding sealed trees to the store."""

from __future__ import annotations

from collections.abc import Callable

from repoint.device.store.store import Store
from repoint.fs.durable import make_folder, sync
from repoint.fs.removal import remove_tree
from repoint.model.tree import Entry
from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.scan import ALWAYS_IGNORED
from repoint.tree.verify import verify_tree


def add_tree(
    store: Store,
    seal: str,
    entries: tuple[Entry, ...],
    files: TreeFiles,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Build a tree in the store and verify its seal.

    The commit point is the rename to its seal. A tree that exists already is verified and used.

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
            build_tree(temporary, entries, files)
            verified = verify_tree(temporary, entries, seal, ignore=(), progress=progress)
            temporary.rename(path)
        except BaseException:
            remove_tree(temporary)
            raise
        sync(store.trees)
        return verified
    return verify_tree(path, entries, seal, ignore=ignore, progress=progress)
