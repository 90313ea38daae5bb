"""Verification of a tree on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from repoint.model.tree import Entry
from repoint.tree.compare import compare_trees
from repoint.tree.digest import seal_of
from repoint.tree.errors import SealMismatchError
from repoint.tree.privileges import with_privileges
from repoint.tree.scan import ALWAYS_IGNORED, scan_tree


def verify_tree(
    root: Path,
    entries: Iterable[Entry],
    seal: str,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
    at_rest: bool = False,
) -> str:
    """Read a whole tree and compare it with its seal.

    Args:
        root: The tree's folder.
        entries: The expected entries.
        seal: The expected seal, which is that of the entries.
        ignore: Patterns to leave out, as in `scan_tree`.
        progress: Called with the bytes of each file after it is read.
        at_rest: True if the privileges were taken from the tree: see `privileges`. The seal then
            counts with those that the entries say.

    Returns:
        The seal computed from the disk, equal to the expected one.

    Raises:
        SealMismatchError: The tree differs; the error lists the differences.
        UnfitTreeError: The tree cannot be read.
    """
    actual = scan_tree(root, ignore=ignore, progress=progress)
    if at_rest:
        entries = tuple(entries)
        actual = with_privileges(actual, entries)
    actual_seal = seal_of(actual)
    if actual_seal == seal:
        return actual_seal
    differences = compare_trees(entries, actual)
    first = f": {differences[0]}" if differences else ""
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    raise SealMismatchError(f"{root} is not the sealed tree{first}{more}", differences=differences)
