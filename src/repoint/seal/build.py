"""Building a tree beside an old one: unchanged files are shared, the others put in place."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from repoint.model.tree import Entry

# linux/fs.h: FICLONE, _IOW(0x94, 9, int). Not in the fcntl module before Python 3.12.
_FICLONE = 0x40049409


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
            _finish(place, entry.mode)
        else:
            _take(taken[entry.path], place, entry.mode, share)
    # Children first: a folder that is read-only can no longer be filled.
    for folder, mode in reversed(folders):
        _finish(folder, mode)


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content and times to a new file, sharing blocks where that is possible."""
    with source.open("rb") as old, target.open("xb") as new:
        if not _clone(old.fileno(), new.fileno()):
            shutil.copyfileobj(old, new, 1 << 20)
    shutil.copystat(source, target, follow_symlinks=False)


def remove_tree(root: Path) -> None:
    """Remove a tree although its folders are read-only. What is not there is no error."""
    if root.is_symlink() or not root.is_dir():
        root.unlink(missing_ok=True)
        return
    for folder, below, _ in os.walk(root):
        Path(folder).chmod(0o700)
        for name in below:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(root)


def make_writable(root: Path) -> None:
    """Give the owner the right to write to a tree again, where it leaves Repoint's care."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            _finish(path, stat.S_IMODE(path.stat().st_mode) | 0o200)


def sync(path: Path) -> None:
    """Bring a file or folder to the disk for good."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _finish(path: Path, mode: int) -> None:
    """Give a file or folder its permissions, and bring it to the disk with them."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take(source: Path, place: Path, mode: int, share: bool) -> None:
    with source.open("rb") as old, place.open("xb") as new:
        cloned = _clone(old.fileno(), new.fileno())
    if not cloned:
        place.unlink()
        if share and source.stat().st_mode & 0o7777 == mode:
            place.hardlink_to(source)
            return
        copy_file(source, place)
    shutil.copystat(source, place)
    _finish(place, mode)


def _clone(old: int, new: int) -> bool:
    try:
        fcntl.ioctl(new, _FICLONE, old)
    except OSError:
        return False
    return True
