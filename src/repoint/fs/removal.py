"""Removal of trees, also of those whose folders are read-only."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from repoint.fs.durable import sync_filesystem
from repoint.fs.folders import Descent, change_mode, located, open_folder
from repoint.fs.walk import walk

_FULL = (errno.ENOTEMPTY, errno.EEXIST)


def remove_tree(root: Path) -> None:
    """Remove a file, link or tree, even one with read-only folders. A missing one is no error.

    No link is followed, not even one that takes the place of a folder meanwhile, and nothing on
    another file system is removed.

    Raises:
        OSError: Something cannot be removed, such as a mount point; the error names it.
    """
    try:
        above = os.open(root.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        status = os.stat(root.name, dir_fd=above, follow_symlinks=False)
        with located(root.parent, root.name):
            is_full = _remove_one(above, root.name, is_folder=stat.S_ISDIR(status.st_mode))
        if is_full:
            _remove_folder(root, above)
    except FileNotFoundError:
        if os.path.lexists(root):
            raise
    finally:
        os.close(above)


def make_writable(root: Path) -> None:
    """Give the owner write permission to a whole tree that is no longer to be kept sealed.

    The change is on disk afterwards. Links are left alone.
    """
    top = open_folder(root)
    try:
        os.fchmod(top, stat.S_IMODE(os.fstat(top).st_mode) | 0o200)
        for found in walk(root):
            if not stat.S_ISLNK(found.status.st_mode):
                with located(root, found.path):
                    mode = stat.S_IMODE(found.status.st_mode) | 0o200
                    change_mode(found.name, mode, within=found.folder)
        sync_filesystem(top)
    finally:
        os.close(top)


def _remove_one(folder: int, name: str, *, is_folder: bool) -> bool:
    """Remove a file, a link or an empty folder. Return whether it is a folder with content.

    The kernel refuses a mount point before it looks into it, so nothing below one is removed.
    """
    try:
        if is_folder:
            os.rmdir(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)
    except FileNotFoundError:
        pass
    except OSError as error:
        if error.errno not in _FULL:
            raise
        return True
    return False


def _remove_folder(root: Path, above: int) -> None:
    """Empty all folders from the top down, then remove them from the bottom up."""
    with Descent(above) as descent:
        folders, pending = [], [root.name]
        while pending:
            path = pending.pop()
            folders.append(path)
            with located(root.parent, path):
                folder = _open_writable(descent, path)
                with os.scandir(folder) as items:
                    found = [(item.name, item.is_dir(follow_symlinks=False)) for item in items]
            for name, is_folder in found:
                with located(root.parent, f"{path}/{name}"):
                    if _remove_one(folder, name, is_folder=is_folder):
                        pending.append(f"{path}/{name}")
        for path in reversed(folders):
            parent, _, name = path.rpartition("/")
            with located(root.parent, path):
                os.rmdir(name, dir_fd=descent.open(parent))


def _open_writable(descent: Descent, path: str) -> int:
    """Open a folder whose owner may be allowed neither to read nor to change it."""
    try:
        folder = descent.open(path)
    except PermissionError:
        parent, _, name = path.rpartition("/")
        change_mode(name, 0o700, within=descent.open(parent))
        return descent.open(path)
    mode = stat.S_IMODE(os.fstat(folder).st_mode)
    if mode & 0o700 != 0o700:
        os.fchmod(folder, mode | 0o700)
    return folder
