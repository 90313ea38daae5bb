"""Files mapped into memory."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_COMPARED = 1 << 20
"""Bytes that are compared or written at a time."""

_ZEROS = bytes(_COMPARED)


@contextmanager
def mapped_fd(fd: int, *, writable: bool = False) -> Iterator[memoryview]:
    """Give all bytes of an open file as one view.

    A writable view is shared: writing to it writes to the file, whose length must be set before.
    The file must keep its length: if it shrinks, SIGBUS kills the process.
    """
    size = os.fstat(fd).st_size
    if not size:
        yield memoryview(bytearray() if writable else b"")
        return
    access = mmap.ACCESS_WRITE if writable else mmap.ACCESS_READ
    view = memoryview(mmap.mmap(fd, size, access=access))
    try:
        yield view
    finally:
        # The mapping is released with its last view: a traceback may still hold a slice.
        view.release()


@contextmanager
def mapped(path: Path | None) -> Iterator[memoryview]:
    """Give the bytes of the file at `path`, read-only; an empty view for None.

    Raises:
        OSError: The file cannot be opened or mapped.
    """
    if path is None:
        yield memoryview(b"")
        return
    with path.open("rb") as file, mapped_fd(file.fileno()) as view:
        yield view


def same_bytes(one: memoryview, other: memoryview) -> bool:
    """Return whether two views are equal.

    Python compares views item by item, which takes minutes for gigabytes.
    """
    return len(one) == len(other) and all(
        bytes(one[at : at + _COMPARED]) == bytes(other[at : at + _COMPARED])
        for at in range(0, len(one), _COMPARED)
    )


def fill(target: memoryview, content: bytes | memoryview) -> None:
    """Write as many bytes as a view has, but no zeros where there are zeros.

    A write to a hole of a mapped file would allocate it. So a sparse file stays sparse, and
    gigabytes of it need not be written to the disk.
    """
    for at in range(0, len(target), _COMPARED):
        part = bytes(content[at : at + _COMPARED])
        if part != _ZEROS[: len(part)] or bytes(target[at : at + len(part)]) != part:
            target[at : at + len(part)] = part
