"""Replaces the set of files below ``security/`` as a whole."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Mapping
from pathlib import Path

from repoint.fs.durable import create_file, rename_durably, sync_folder
from repoint.fs.exchange import exchange, rename_new
from repoint.fs.removal import remove_tree
from repoint.fs.uninterrupted import uninterrupted
from repoint.repository.files import PUBLIC_FOLDER_MODE, PUBLIC_MODE, sync_folders


def replace_set(target: Path, staging: Path, files: Mapping[str, bytes]) -> bool:
    """Replace a folder by a set of files, at once: readers see the old set or the new one.

    A file that stays the same stays the same inode, with its time, so caches keep it.

    Args:
        target: The folder; it need not exist.
        staging: A folder on the same file system to prepare the set in; created, and kept.
        files: The content of the files, by path below ``target``.

    Returns:
        Whether anything changed.

    Raises:
        OSError: A file cannot be read or written. The old set is still in place.
    """
    staging.mkdir(mode=0o700, exist_ok=True)
    new = staging / target.name
    remove_tree(new)
    _make_folder(new)
    kept = sum(_put(new, target, path, files[path]) for path in sorted(files))
    if kept == len(files) == _count(target):
        remove_tree(new)
        return False
    # The files are on disk already; syncfs would wait for all that others write on the disk.
    sync_folders([new, *(path for path in new.rglob("*") if path.is_dir())])
    with uninterrupted():
        _switch(new, target)
        sync_folder(target.parent)
    remove_tree(new)
    return True


def _put(new: Path, old: Path, path: str, data: bytes) -> bool:
    """Put a file into the new set, and return whether the old set has the same one."""
    file = new / path
    for folder in reversed(file.relative_to(new).parents[:-1]):
        _make_folder(new / folder)
    with contextlib.suppress(OSError):
        if (old / path).read_bytes() == data:
            os.link(old / path, file, follow_symlinks=False)
            return True
    with create_file(file, mode=PUBLIC_MODE) as writer:
        writer.write(data)
    return False


def _make_folder(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(PUBLIC_FOLDER_MODE)


def _count(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if not path.is_dir())


def _switch(new: Path, target: Path) -> None:
    try:
        exchange(new, target)
    except FileNotFoundError:
        rename_new(new, target)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOSYS):
            raise
        # Some network file systems cannot exchange names. Between these two, there is no set.
        old = new.with_name(f"{new.name}.old")
        remove_tree(old)
        target.rename(old)
        rename_durably(new, target)
        remove_tree(old)
