"""Atomic exchange of two names."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

# linux/fcntl.h and linux/fs.h
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def exchange(first: Path, second: Path) -> None:
    """Exchange two names on one file system, with renameat2(2). Neither is ever missing.

    Raises:
        OSError: The file system cannot exchange names, or there is no right to write.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    names = (os.fsencode(first), os.fsencode(second))
    if libc.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(second))
