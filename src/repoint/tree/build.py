"""Building a tree beside an old one: unchanged files are shared, the others put in place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from repoint.fs.clone import clone_content, copy_file
from repoint.fs.durable import set_mode
from repoint.model.tree import Entry


def build_tree(
    target: Path,
    entries: Iterable[Entry],
    *,
    made: Mapping[str, Path],
    taken: Mapping[str, Path],
    modified: int = 0,
    share: bool = True,
) -> None:
    """Build a sealed tree; what is on disk afterwards is synced, but not yet verified.

    Args:
        target: Where to build it; must not exist.
        entries: What the tree holds.
        made: For paths with new content, the finished file, on the same file system. It is moved
            into the tree.
        taken: For all other files, the file to take unchanged: cloned where the file system can
            share blocks, else hard-linked, or copied where the permissions differ.
        share: Whether files in ``taken`` may be hard-linked. Not where somebody else may still
            write to them.
        modified: Modification time of the files in ``made``, in seconds since 1970. It differs
            between two improvements, so that a cache keyed by time and size (such as Python's
            bytecode) never takes one for the other.

    Raises:
        OSError: The disk is full, or something cannot be read or written.
    """
    target.mkdir(mode=0o700)
    folders = [(target, 0o555)]
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        place = target / entry.path
        if entry.kind == "folder":
            place.mkdir(mode=0o700)
            folders.append((place, entry.mode))
        elif entry.kind == "link":
            place.symlink_to(entry.target)
        elif entry.path in made:
            made[entry.path].rename(place)
            os.utime(place, (modified, modified), follow_symlinks=False)
            set_mode(place, entry.mode)
        else:
            _take(taken[entry.path], place, entry.mode, share)
    # Children first: a folder that is read-only can no longer be filled.
    for folder, mode in reversed(folders):
        set_mode(folder, mode)


def _take(source: Path, place: Path, mode: int, share: bool) -> None:
    with source.open("rb") as old, place.open("xb") as new:
        cloned = clone_content(old.fileno(), new.fileno())
    if not cloned:
        place.unlink()
        if share and source.stat().st_mode & 0o7777 == mode:
            place.hardlink_to(source)
            return
        copy_file(source, place)
    shutil.copystat(source, place)
    set_mode(place, mode)
