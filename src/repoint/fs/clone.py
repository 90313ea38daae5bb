"""File copies that share blocks if the file system can, and keep holes."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path

# linux/fs.h: FICLONE, _IOW(0x94, 9, int). The fcntl module has it from Python 3.12 on.
_FICLONE = 0x40049409

_BLOCK = 512
"""Bytes of the unit of ``st_blocks``: inode(7)."""


def copy_file(source: Path, target: Path) -> None:
    """Copy a file's content, mode and times to a new file, sharing blocks if possible.

    Owners, access control lists and other extended attributes are not copied.
    """
    old = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
    try:
        new = create_private(target)
        try:
            copy_content(old, new)
            copy_status(os.fstat(old), new)
        finally:
            os.close(new)
    finally:
        os.close(old)


def create_private(name: str | Path, *, within: int | None = None) -> int:
    """Create a file and open it for writing. Only its owner may use it.

    The umask may allow others to write, so a copy gets its mode when it is complete.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    return os.open(name, flags, 0o600, dir_fd=within)


def copy_status(status: os.stat_result, target: int) -> None:
    """Give an open file the times and the mode of another."""
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
    os.fchmod(target, stat.S_IMODE(status.st_mode))


def copy_content(source: int, target: int) -> None:
    """Copy one open file into another, empty one. Blocks are shared and holes kept if possible."""
    if clone_content(source, target):
        return
    status = os.fstat(source)
    if status.st_blocks * _BLOCK >= status.st_size:
        _copy_range(source, target, 0, status.st_size)
        return
    end = 0
    while end < status.st_size:
        try:
            start = os.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno != errno.ENXIO:  # ENXIO: the rest is a hole
                raise
            break
        end = os.lseek(source, start, os.SEEK_HOLE)
        _copy_range(source, target, start, end)
    os.ftruncate(target, status.st_size)


def clone_content(source: int, target: int) -> bool:
    """Make one open file share another's blocks. Return whether the file system supports it."""
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError:
        return False
    return True


def _copy_range(source: int, target: int, start: int, end: int) -> None:
    os.lseek(target, start, os.SEEK_SET)
    while start < end:
        copied = os.sendfile(target, source, start, end - start)
        if copied == 0:
            break  # the file was shortened meanwhile
        start += copied
