"""Holes: ranges of a file that read as zeros and take no space on the disk."""

from __future__ import annotations

import ctypes
import errno
import os

_KEEP_SIZE, _PUNCH_HOLE = 0x01, 0x02  # linux/falloc.h

_CHUNK = 1 << 20
"""Bytes that are read at once."""

_BLOCK = 1 << 16
"""Bytes of the shortest hole, and what each begins at a multiple of: no file system has larger
blocks. Shorter holes would cost more in pieces of a file than they save in space."""

_ZEROS = bytes(_CHUNK)


def dig_holes(file: int) -> None:
    """Free the blocks of an open file that hold only zeros. Its content and size stay the same.

    Args:
        file: The file, open for reading and writing.

    Raises:
        OSError: The file cannot be read or written. A file system without holes is no error.
    """
    start = end = 0  # of the zeros that were found last
    for at in range(0, os.fstat(file).st_size, _CHUNK):
        chunk = os.pread(file, _CHUNK, at)
        length = len(chunk) if _is_zeros(chunk) else _BLOCK
        for offset in range(0, len(chunk), length):
            block = chunk[offset : offset + length]
            if not _is_zeros(block):
                continue
            if at + offset != end:
                _punch(file, start, end)
                start = at + offset
            end = at + offset + len(block)
    _punch(file, start, end)


def _is_zeros(data: bytes) -> bool:
    return data == (_ZEROS if len(data) == _CHUNK else _ZEROS[: len(data)])


def _punch(file: int, start: int, end: int) -> None:
    if start == end:
        return
    libc = ctypes.CDLL(None, use_errno=True)
    # Offsets of 64 bits on every machine; some libraries have only one function, which has them.
    fallocate = libc.fallocate64 if hasattr(libc, "fallocate64") else libc.fallocate
    flags = _KEEP_SIZE | _PUNCH_HOLE
    if fallocate(file, flags, ctypes.c_int64(start), ctypes.c_int64(end - start)) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EOPNOTSUPP, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
