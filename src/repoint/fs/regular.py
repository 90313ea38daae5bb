"""Opening plain files only: what was put in the place of one must not be waited for."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path


class NotAFileError(OSError):
    """A path is a folder, a link, a pipe or a device, and should be a plain file."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "it is not a plain file", str(path))


def open_regular(path: Path, flags: int, mode: int = 0o600) -> int:
    """Open a plain file without waiting for the other end of a pipe; return its descriptor.

    Raises:
        NotAFileError: It is something else.
        OSError: It cannot be opened.
    """
    try:
        descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY, mode)
    except OSError as error:
        if error.errno in (errno.EISDIR, errno.ELOOP, errno.ENXIO, errno.ENODEV):
            raise NotAFileError(path) from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(path)
    return descriptor


def read_regular(path: Path) -> bytes:
    """Return the content of a plain file, also through a link to one.

    Raises:
        NotAFileError: It is something else.
        OSError: It cannot be read.
    """
    with open(open_regular(path, os.O_RDONLY), "rb") as file:
        return file.read()
