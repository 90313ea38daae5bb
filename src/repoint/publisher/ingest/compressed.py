"""Reading gzip, xz and zstd streams that may be broken or made to exhaust memory."""

from __future__ import annotations

import io
import lzma
import zlib
from collections.abc import Callable
from typing import Protocol

from repoint.delta.zstd import DEFAULT_WINDOW_LOG, zstd
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input

_INPUT = 4096
"""Compressed bytes taken at once: zstd says 128 KiB with 4 bytes, so at most 128 MiB come out."""

_XZ_MEMORY = 1 << 30
"""Bytes an xz decoder may use; ``xz -9`` needs 65 MiB, a hostile header asks for 4 GiB."""


class Reader(Protocol):
    """Something to read bytes from, in order."""

    def read(self, size: int, /) -> bytes:
        """Up to ``size`` bytes; none at the end."""


class PeekableReader(Reader, Protocol):
    """A reader that shows the bytes to come, as `io.BufferedReader` does."""

    def peek(self, size: int, /) -> bytes:
        """The bytes to come, more or fewer than ``size``, which stay to be read."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, /) -> bytes: ...


def _gzip() -> _Decoder:
    return zlib.decompressobj(wbits=16 + zlib.MAX_WBITS)


def _xz() -> _Decoder:
    return lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=_XZ_MEMORY)


def _zstd() -> _Decoder:
    options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: DEFAULT_WINDOW_LOG}
    return zstd.ZstdDecompressor(options=options)


_CODECS: tuple[tuple[bytes, str, Callable[[], _Decoder]], ...] = (
    (b"\x1f\x8b", "gzip", _gzip),
    (b"\xfd7zXZ\0", "xz", _xz),
    (b"\x28\xb5\x2f\xfd", "zstd", _zstd),
    *((bytes([0x50 + n]) + b"\x2a\x4d\x18", "zstd", _zstd) for n in range(16)),
)
"""First bytes: RFC 1952 (gzip), the .xz format 1.2, RFC 8878 (zstd frames, skippable frames)."""


def is_compressed(head: bytes) -> bool:
    """Whether a file that begins with ``head`` is a gzip, xz or zstd stream."""
    return any(head.startswith(magic) for magic, _, _ in _CODECS)


def open_stream(stream: PeekableReader) -> Reader:
    """The decompressed content of ``stream``; the stream itself where it is not compressed."""
    head = stream.peek(8)
    for magic, name, make in _CODECS:
        if head.startswith(magic):
            return _Decompressed(stream, name, make)
    return stream


class _Decompressed:
    """One compressed stream after another, each of which must be whole."""

    def __init__(self, stream: Reader, name: str, make: Callable[[], _Decoder]) -> None:
        self._stream = stream
        self._name = name
        self._make = make
        self._decoder: _Decoder | None = None
        self._unused = b""
        self._begun = False
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
                f"Its {self._name} stream is truncated", hint="Fetch or build it again"
            )
        if self._decoder is None:
            # Writers to tapes and xz pad with zeros between streams and at the end.
            data = data.lstrip(b"\0") if self._begun else data
            if not data:
                self._ready = io.BytesIO()
                return bool(self._stream_has_more())
            self._decoder = self._make()
            self._begun = True
        with broken_input(f"Its {self._name} stream"):
            self._ready = io.BytesIO(self._decoder.decompress(data))
        if self._decoder.eof:
            self._unused = self._decoder.unused_data
            self._decoder = None
        return True

    def _stream_has_more(self) -> bytes:
        self._unused = self._stream.read(_INPUT)
        return self._unused
