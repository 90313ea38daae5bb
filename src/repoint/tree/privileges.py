"""The privileges of a tree's programs: the set-user-ID and set-group-ID bits of its files.

A program keeps them wherever it is, so a tree that nothing may run from must not have them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable
from pathlib import Path

import msgspec

from repoint.fs.durable import sync_tree
from repoint.fs.folders import Descent, change_mode, located, open_folder, open_regular
from repoint.fs.walk import walk
from repoint.model.tree import Entry
from repoint.tree.scan import digest_of

BITS = stat.S_ISUID | stat.S_ISGID

Inode = tuple[int, int]
"""A file by its device and inode number."""


def is_privileged(status: os.stat_result) -> bool:
    """Return whether a file gives its owner's or group's rights to whoever runs it."""
    return stat.S_ISREG(status.st_mode) and bool(status.st_mode & BITS)


def without_privileges(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries of a tree whose files have no privileges."""
    return tuple(
        msgspec.structs.replace(entry, mode=entry.mode & ~BITS)
        if entry.kind == "file" and entry.mode & BITS
        else entry
        for entry in entries
    )


def with_privileges(found: Iterable[Entry], entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return what a tree without privileges would be with those that it should have.

    Args:
        found: The entries of the tree on the disk.
        entries: The entries that it should have.
    """
    privileged = {
        entry.path: entry for entry in entries if entry.kind == "file" and entry.mode & BITS
    }
    result = []
    for entry in found:
        known = privileged.get(entry.path)
        if known is not None and entry == msgspec.structs.replace(known, mode=known.mode & ~BITS):
            entry = known
        result.append(entry)
    return tuple(result)


def privileged_files(root: Path) -> set[Inode]:
    """Return the files of a tree that carry privileges."""
    return {
        (found.status.st_dev, found.status.st_ino)
        for found in walk(root)
        if is_privileged(found.status)
    }


def take_privileges(root: Path, *, keep: Collection[Inode]) -> None:
    """Take the privileges from all files of a tree. The change is on disk afterwards.

    Args:
        root: The tree.
        keep: Files that keep them, because another tree that needs them holds them by a hard link.
    """
    is_changed = False
    for found in walk(root):
        status = found.status
        if is_privileged(status) and (status.st_dev, status.st_ino) not in keep:
            with located(root, found.path):
                mode = stat.S_IMODE(status.st_mode) & ~BITS
                change_mode(found.name, mode, within=found.folder)
            is_changed = True
    if is_changed:
        sync_tree(root)


def give_privileges(root: Path, entries: Iterable[Entry]) -> list[str]:
    """Give the files of a tree the privileges that its entries state.

    The content of each such file is read first, so that nothing else gets them. The change is on
    disk afterwards.

    Returns:
        The files whose content differs. They get no privileges.
    """
    unfit = []
    top = open_folder(root)
    try:
        with Descent(top) as descent:
            for entry in entries:
                if entry.kind == "file" and entry.mode & BITS:
                    above, _, name = entry.path.rpartition("/")
                    with located(root, entry.path):
                        if not _give(entry, name, descent.open(above)):
                            unfit.append(entry.path)
    finally:
        os.close(top)
    return unfit


def _give(entry: Entry, name: str, folder: int) -> bool:
    file = open_regular(name, within=folder)
    try:
        status = os.fstat(file)
        if status.st_uid != os.geteuid() or digest_of(file) != (entry.size, entry.sha256):
            return False
        if stat.S_IMODE(status.st_mode) != entry.mode:
            os.fchmod(file, entry.mode)
            os.fsync(file)
        return True
    finally:
        os.close(file)
