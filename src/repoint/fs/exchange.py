"""Atomic renames by renameat2(2): an exchange of names, and a rename that replaces nothing."""

from __future__ import annotations

import ctypes
import errno
import os
from pathlib import Path

# linux/fcntl.h and linux/fs.h
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2


def exchange(first: Path, second: Path) -> None:
    """Exchange two names on one file system. Neither is ever missing.

    Raises:
        OSError: The file system cannot exchange names, or there is no right to write.
    """
    _rename(first, second, _RENAME_EXCHANGE)


def rename_new(source: Path, target: Path) -> None:
    """Rename a file or folder to a name that must not exist.

    A plain rename replaces an empty folder, so that whoever works in it finds that it is gone.

    Raises:
        FileExistsError: The name exists.
        OSError: There is no right to write.
    """
    try:
        _rename(source, target, _RENAME_NOREPLACE)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        source.rename(target)  # the file system knows no other rename


def _rename(source: Path, target: Path, flags: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(source), os.fsencode(target))
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], flags) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(target))
