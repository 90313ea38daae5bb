"""Decompression of gzip, xz and zstd streams that may be corrupt or made to exhaust memory."""

from __future__ import annotations

import io
import lzma
import os
import zlib
from collections.abc import Callable
from typing import Protocol

from repoint.delta.zstd import DEFAULT_WINDOW_LOG, zstd
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input

_INPUT = 4096
"""Compressed bytes per step: 4 bytes of zstd give up to 128 KiB, so a step up to 128 MiB."""

LARGEST_WINDOW_LOG = 31
"""Log2 of the largest window in bytes that zstd writes, with ``--long=31``."""

_LEAST_MEMORY, _MOST_MEMORY = 256 << 20, 4 << 30
"""Bounds of the bytes that a decoder may use."""

_TOO_LARGE = ("Memory usage limit exceeded", "Frame requires too much memory")
"""What liblzma and zstd say of a stream that needs more memory than is allowed."""


class Reader(Protocol):
    """A source of bytes, read in order."""

    def read(self, size: int, /) -> bytes:
        """Return up to ``size`` bytes, none at the end."""


class PeekableReader(Reader, Protocol):
    """A reader with lookahead, such as `io.BufferedReader`."""

    def peek(self, size: int, /) -> bytes:
        """Return the next bytes, more or fewer than ``size``, without consuming them."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Decoder:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=memory_limit())


def _zstd() -> _Decoder:
    window = max(DEFAULT_WINDOW_LOG, min(memory_limit().bit_length() - 1, LARGEST_WINDOW_LOG))
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: window}
    return zstd.ZstdDecompressor(options=options)


def memory_limit() -> int:
    """Return the bytes that a decoder may use: a quarter of the memory, at most 4 GiB.

    ``xz -9`` needs 65 MiB and ``zstd --long=27`` 128 MiB; a hostile header demands 4 GiB.
    """
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(_LEAST_MEMORY, min(memory // 4, _MOST_MEMORY))


_CODECS: tuple[tuple[bytes, str, Callable[[], _Decoder]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    *((bytes([0x50 + n]) + b"\x2a\x4d\x18", "zstd", _zstd) for n in range(16)),
)
"""First bytes: RFC 1952 (gzip), the .xz format 1.2, RFC 8878 (zstd frames, skippable frames)."""


def is_compressed(head: bytes) -> bool:
    """Return whether a file that starts with ``head`` is a gzip, xz or zstd stream."""
    return any(head.startswith(magic) for magic, _, _ in _CODECS)


def open_stream(stream: PeekableReader) -> Reader:
    """Return a reader of the decompressed content; ``stream`` itself if it is not compressed."""
    head = stream.peek(8)
    for magic, name, make in _CODECS:
        if head.startswith(magic):
            return _Decompressed(stream, name, make)
    return stream


def _needs_memory(name: str) -> UnfitSourceError:
    again = "zstd --long=27" if name == "zstd" else "xz -9"
    return UnfitSourceError(
        f"Its {name} stream needs more memory than the {memory_limit() >> 20:,} MiB that a quarter "
        "of this machine's memory, or at most 4 GiB, allows",
        hint=f"Compress it again with `{again}`, or unpack it first",
    )


class _Decompressed:
    """Consecutive compressed streams, each of which must be complete."""

    def __init__(self, stream: Reader, name: str, make: Callable[[], _Decoder]) -> None:
        self._stream = stream
        self._name = name
        self._make = make
        self._decoder: _Decoder | None = None
        self._unused = b""
        self._started = False
        self._ready = io.BytesIO()

    def read(self, size: int, /) -> bytes:
        while not (data := self._ready.read(size)) and self._fill():
            pass
        return data

    def _fill(self) -> bool:
        data = self._unused or self._stream.read(_INPUT)
        self._unused = b""
        if not data and self._decoder is not None:
            raise UnfitSourceError(
                f"Its {self._name} stream is truncated", hint="Download or build it again"
            )
        if self._decoder is None:
            # Tape writers and xz pad with zeros between streams and at the end.
            data = data.lstrip(b"\0") if self._started else data
            if not data:
                self._ready = io.BytesIO()
                return bool(self._stream_has_more())
            self._decoder = self._make()
            self._started = True
        try:
            with broken_input(f"Its {self._name} stream"):
                self._ready = io.BytesIO(self._decoder.decompress(data))
        except (UnfitSourceError, MemoryError) as error:
            if isinstance(error, MemoryError) or any(said in error.message for said in _TOO_LARGE):
                raise _needs_memory(self._name) from None
            raise
        if self._decoder.eof:
            self._unused = self._decoder.unused_data
            self._decoder = None
        return True

    def _stream_has_more(self) -> bytes:
        self._unused = self._stream.read(_INPUT)
        return self._unused
