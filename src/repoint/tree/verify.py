"""Holding a tree on disk against what it should be."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from repoint.model.tree import Entry
from repoint.tree.compare import compare_trees
from repoint.tree.digest import seal_of
from repoint.tree.errors import SealMismatchError
from repoint.tree.scan import ALWAYS_IGNORED, scan_tree


def verify_tree(
    root: Path,
    entries: Iterable[Entry],
    seal: str,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> str:
    """Read a whole tree and compare it with what it should be.

    Args:
        root: The folder in which the tree stands.
        entries: What should be in it.
        seal: Its seal; the entries must agree with it.
        ignore: What to leave out, as in `scan_tree`.
        progress: Told the bytes of each file once it is read.

    Returns:
        The seal that was found, which is the one that was expected.

    Raises:
        SealMismatchError: It is another tree; the error lists the differences.
        UnfitTreeError: It cannot be read.
    """
    found = scan_tree(root, ignore=ignore, progress=progress)
    found_seal = seal_of(found)
    if found_seal == seal:
        return found_seal
    differences = compare_trees(entries, found)
    first = f": {differences[0]}" if differences else ""
    more = f", and {len(differences) - 1} more" if len(differences) > 1 else ""
    raise SealMismatchError(f"{root} is not the sealed tree{first}{more}", differences=differences)
