"""The interface of a codec."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple


class Fallback(NamedTuple):
    """When to try a codec that rarely gives the smallest payload.

    Attributes:
        ratio: The codec is left out if the best payload so far is at least this many times smaller
            than a quick compression of the whole new file.
        always_below: Size of the new file in bytes up to which the codec is tried anyway.
    """

    ratio: int
    always_below: int = 0


LARGEST = 2 << 30
"""Bytes of both files that a codec whose memory grows with them may encode."""


class Codec(ABC):
    """One way to encode a new file, given an old one.

    `encode` and `decode` are functions of their arguments alone: equal input gives equal bytes.
    Views are flat, contiguous and of bytes, so that mapped files can be passed. An old file that
    does not exist is an empty view.

    Attributes:
        name: The codec's name in a patch, at most 16 characters. Never reused for another
            encoding.
        fallback: When to try the codec after the others; None to try it first on every file.
        largest: Bytes of both files together above which the codec is not tried, because it needs
            several times as much memory; 0 for no limit.
    """

    name: str
    fallback: Fallback | None = None
    largest: int = 0

    @abstractmethod
    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        """Return the payload, or None if the codec does not apply to these files."""

    @abstractmethod
    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        """Fill all of `new`, whose length is the declared one. The payload may be hostile.

        Raises:
            PatchError: The payload is damaged, or gives another length.
            MemoryError: The payload needs more memory than this process may use.
        """

    def prepare(self) -> None:  # noqa: B027 - most codecs need nothing
        """Load everything that `decode` loads at its first use.

        The decoding process calls this before it is confined; it cannot open files afterwards.
        """
