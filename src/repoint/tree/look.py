"""A cheap look at a tree: whether anything in it was touched since it was verified.

Reading every file of a large tree takes long. What the kernel says about each path takes little,
and shows every change but one that its author hides on purpose, with the rights of root. So a tree
that was verified is recorded as it looked then, and only what looks different is read again.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path

from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.compare import Difference, compare_trees
from repoint.tree.scan import is_ignored, read_entry

_LOOK = struct.Struct("=QQqHq")
"""Inode number, size, time of change of the content, type, and time of change of the inode."""

_WITHOUT_INODE_TIME = _LOOK.size - 8
_MISSING = bytes(_LOOK.size)


def look_at(root: Path, entries: Sequence[Entry]) -> bytes:
    """Return how a tree looks: its own folder, then every entry, in their order."""
    return b"".join(look for look, _ in _looks(root, ["", *(entry.path for entry in entries)]))


def touched(
    root: Path,
    entries: Sequence[Entry],
    record: bytes,
    *,
    only: Collection[int] | None = None,
    inode_times: bool = True,
) -> list[str]:
    """Return the paths that look different from what `look_at` recorded; "" is the tree itself.

    A path that permits more than its entry looks different, too.

    Args:
        root: The tree's folder.
        entries: The entries, as they were recorded.
        record: The result of `look_at`. Of another length, it says nothing, and all are returned.
        only: The numbers of the paths to look at, from 0 for the tree itself; None for all.
        inode_times: Whether a changed inode counts whose content was not written to. Every new name
            of a file changes it, so a tree that shares files with another one looks touched.
    """
    paths = ["", *(entry.path for entry in entries)]
    if len(record) != _LOOK.size * len(paths):
        return paths
    numbers = range(len(paths)) if only is None else sorted(only)
    length = _LOOK.size if inode_times else _WITHOUT_INODE_TIME
    found = []
    looks = _looks(root, [paths[n] for n in numbers])
    for number, (look, mode) in zip(numbers, looks, strict=True):
        start = number * _LOOK.size
        is_changed = look[:length] != record[start : start + length]
        if is_changed or (number and _permits_more(mode, entries[number - 1])):
            found.append(paths[number])
    return found


def differences_at(
    root: Path, entries: Iterable[Entry], paths: Iterable[str], ignore: tuple[str, ...]
) -> tuple[Difference, ...]:
    """Read some paths of a tree, and return how they differ from its entries.

    Of a folder, the names in it are compared. Of the permissions, only those that the entry does
    not have count: a tree at rest may have fewer.

    Args:
        root: The tree's folder.
        entries: All entries of the tree.
        paths: The paths to read; "" is the tree itself.
        ignore: Patterns to leave out, as in `scan_tree`.

    Raises:
        OSError: A path cannot be read.
    """
    expected = {entry.path: entry for entry in entries}
    found: dict[str, Difference] = {}
    for path in paths:
        entry = expected.get(path)
        if entry is not None and not is_ignored(path, ignore):
            for difference in _compare(root, entry):
                found[path] = difference
        if entry is None or entry.kind == "folder":
            for added in _unexpected(root, path, expected, ignore):
                found[added] = Difference(added, "added")
    return tuple(found[path] for path in sorted(found))


def _compare(root: Path, entry: Entry) -> tuple[Difference, ...]:
    try:
        now = read_entry(root / entry.path, entry.path)
    except (FileNotFoundError, NotADirectoryError):
        return (Difference(entry.path, "removed"),)
    except InvalidRecordError:
        return (Difference(entry.path, "kind"),)
    differences = compare_trees([entry], [now])
    return tuple(d for d in differences if d.how != "mode" or _permits_more(now.mode, entry))


def _permits_more(mode: int, entry: Entry) -> bool:
    """Return whether a mode has more bits than an entry's, which has no write bits."""
    return entry.kind != "link" and bool(stat.S_IMODE(mode) & ~(entry.mode | 0o222))


def _unexpected(
    root: Path, folder: str, expected: Collection[str], ignore: tuple[str, ...]
) -> list[str]:
    try:
        names = os.listdir(root / folder)
    except (FileNotFoundError, NotADirectoryError):
        return []
    paths = [f"{folder}/{name}" if folder else name for name in sorted(names)]
    return [path for path in paths if path not in expected and not is_ignored(path, ignore)]


def _looks(root: Path, paths: Sequence[str]) -> Iterable[tuple[bytes, int]]:
    """Return how each path looks, and its mode; 0 if it is missing."""
    try:
        top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield from ((_MISSING, 0) for _ in paths)
        return
    try:
        for path in paths:
            try:
                status = os.stat(path or ".", dir_fd=top, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG):
                    raise
                yield _MISSING, 0
                continue
            kind = stat.S_IFMT(status.st_mode)
            look = _LOOK.pack(
                status.st_ino, status.st_size, status.st_mtime_ns, kind, status.st_ctime_ns
            )
            yield look, status.st_mode
    finally:
        os.close(top)
