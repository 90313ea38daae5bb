"""System calls of x86-64 that change or sync a file system, and how they name files.

Numbers: `arch/x86/entry/syscalls/syscall_64.tbl` of Linux. A call names what it changes by a
file descriptor (the number of an argument) or by paths (pairs of arguments: the folder, None for the
current one, and the path).
"""

from __future__ import annotations

import errno
from typing import NamedTuple

Path = tuple[int | None, int]


class Syscall(NamedTuple):
    """One system call. ``sync`` is True if it syncs, ``allocates`` if a full disk makes it fail."""

    name: str
    number: int
    file: int | None = None
    paths: tuple[Path, ...] = ()
    sync: bool = False
    allocates: bool = False
    writes: bool = False


_ONE: tuple[Path, ...] = ((None, 0),)
_AT: tuple[Path, ...] = ((0, 1),)

SYSCALLS = (
    Syscall("write", 1, file=0, allocates=True, writes=True),
    Syscall("pwrite64", 18, file=0, allocates=True, writes=True),
    Syscall("writev", 20, file=0, allocates=True),
    Syscall("pwritev", 296, file=0, allocates=True),
    Syscall("pwritev2", 328, file=0, allocates=True),
    Syscall("sendfile", 40, file=0, allocates=True),
    Syscall("copy_file_range", 326, file=2, allocates=True),
    Syscall("splice", 275, file=2, allocates=True),
    Syscall("fallocate", 285, file=0, allocates=True),
    Syscall("ftruncate", 77, file=0),
    Syscall("truncate", 76, paths=_ONE),
    Syscall("ioctl", 16, file=0, allocates=True),  # FICLONE only, see the filter
    Syscall("open", 2, paths=_ONE, allocates=True),
    Syscall("creat", 85, paths=_ONE, allocates=True),
    Syscall("openat", 257, paths=_AT, allocates=True),
    Syscall("openat2", 437, paths=_AT, allocates=True),
    Syscall("mkdir", 83, paths=_ONE, allocates=True),
    Syscall("mkdirat", 258, paths=_AT, allocates=True),
    Syscall("mknod", 133, paths=_ONE, allocates=True),
    Syscall("mknodat", 259, paths=_AT, allocates=True),
    Syscall("rename", 82, paths=((None, 1), (None, 0)), allocates=True),
    Syscall("renameat", 264, paths=((2, 3), (0, 1)), allocates=True),
    Syscall("renameat2", 316, paths=((2, 3), (0, 1)), allocates=True),
    Syscall("link", 86, paths=((None, 1), (None, 0)), allocates=True),
    Syscall("linkat", 265, paths=((2, 3), (0, 1)), allocates=True),
    Syscall("symlink", 88, paths=((None, 1),), allocates=True),
    Syscall("symlinkat", 266, paths=((1, 2),), allocates=True),
    Syscall("unlink", 87, paths=_ONE),
    Syscall("unlinkat", 263, paths=_AT),
    Syscall("rmdir", 84, paths=_ONE),
    Syscall("chmod", 90, paths=_ONE),
    Syscall("fchmod", 91, file=0),
    Syscall("fchmodat", 268, paths=_AT),
    Syscall("fchmodat2", 452, paths=_AT),
    Syscall("chown", 92, paths=_ONE),
    Syscall("fchown", 93, file=0),
    Syscall("lchown", 94, paths=_ONE),
    Syscall("fchownat", 260, paths=_AT),
    Syscall("utime", 132, paths=_ONE),
    Syscall("utimes", 235, paths=_ONE),
    Syscall("futimesat", 261, paths=_AT),
    Syscall("utimensat", 280, paths=_AT),
    Syscall("setxattr", 188, paths=_ONE, allocates=True),
    Syscall("lsetxattr", 189, paths=_ONE, allocates=True),
    Syscall("fsetxattr", 190, file=0, allocates=True),
    Syscall("removexattr", 197, paths=_ONE),
    Syscall("lremovexattr", 198, paths=_ONE),
    Syscall("fremovexattr", 199, file=0),
    Syscall("fsync", 74, file=0, sync=True),
    Syscall("fdatasync", 75, file=0, sync=True),
    Syscall("syncfs", 306, file=0, sync=True),
    Syscall("sync_file_range", 277, file=0, sync=True),
    Syscall("msync", 26, sync=True),
    Syscall("sync", 162, sync=True),
)

FICLONE = 0x40049409
"""linux/fs.h; the only request of `ioctl` that changes a file system here."""

FAULTS = {
    "ENOSPC": errno.ENOSPC,
    "EIO": errno.EIO,
    "EACCES": errno.EACCES,
    "EROFS": errno.EROFS,
}
