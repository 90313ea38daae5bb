"""Files as bytes in memory, mapped rather than read."""

from __future__ import annotations

import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mapped_fd(fd: int, *, writable: bool = False) -> Iterator[memoryview]:
    """The bytes of an open file, all of them, as one view.

    A writable view is shared: what is written to it is written to the file, whose length is set
    already. The file must keep its length meanwhile; one that shrinks ends the process by SIGBUS.
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
        # The mapping itself goes with its last view: a slice may still be alive in a traceback.
        view.release()


@contextmanager
def mapped(path: Path | None) -> Iterator[memoryview]:
    """The bytes of the file at `path`, read-only; no bytes for None.

    Raises:
        OSError: The file cannot be opened or mapped.
    """
    if path is None:
        yield memoryview(b"")
        return
    with path.open("rb") as file, mapped_fd(file.fileno()) as view:
        yield view
