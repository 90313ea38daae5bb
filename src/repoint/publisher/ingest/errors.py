"""Errors of a source and of the path that it is unpacked to."""

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
"""Exceptions that archive readers raise on corrupt input."""


class UnfitSourceError(RepointError):
    """A source cannot be read, is corrupt, or contains what a component cannot contain."""


class UnpackError(RepointError):
    """The tree cannot be written, or its path exists."""


@contextmanager
def broken_input(what: str) -> Iterator[None]:
    """Convert the exceptions that archive readers raise on corrupt input to one error.

    Args:
        what: The input, as the subject of the message.
    """
    try:
        yield
    except _BROKEN as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UnfitSourceError(
            f"{what} is corrupt or truncated ({reason})", hint="Download or build it again"
        ) from error
