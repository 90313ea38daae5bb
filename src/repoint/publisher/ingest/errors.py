"""What can be wrong with a source, and with the place it is unpacked to."""

from __future__ import annotations

import lzma
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

from repoint.delta.zstd import zstd
from repoint.model.errors import RepointError

_BROKEN = (
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,
    OverflowError,
    struct.error,
    lzma.LZMAError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
    zstd.ZstdError,
)
"""What the readers of archives raise on bytes they were not made for."""


class UnfitSourceError(RepointError):
    """A source cannot be read, is broken, or holds what no component may hold."""


class UnpackError(RepointError):
    """The tree could not be written, or something stands where it should be."""


@contextmanager
def broken_input(what: str) -> Iterator[None]:
    """Turn what readers of archives raise on broken input into one clear error.

    Args:
        what: What is being read, as the subject of the message.
    """
    try:
        yield
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnfitSourceError(
            f"{what} is corrupt or truncated ({reason})", hint="Fetch or build it again"
        ) from error
