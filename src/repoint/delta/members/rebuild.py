"""Members inflated, and made again byte for byte: by which settings of zlib, if by any."""

from __future__ import annotations

import zlib
from functools import cache
from typing import NamedTuple

from repoint.delta.errors import PatchError
from repoint.delta.members.deflate import beginning, deflate

_WINDOW_BITS = -15
"""A raw stream, without zlib's own header."""
_PREFIX = 96 << 10
"""Bytes of a content by which settings are told apart before all of it is compressed."""


class ZlibSettings(NamedTuple):
    """zlib's level and `memLevel`."""

    level: int
    memory: int


_CANDIDATES = tuple(
    ZlibSettings(level, memory) for memory in (8, 9) for level in (6, 9, 1, 5, 8, 7, 4, 3, 2)
)
"""What programs use, the most usual first."""


def inflate(packed: bytes | memoryview, size: int) -> bytes:
    """What a raw DEFLATE stream holds.

    Raises:
        PatchError: It is none, or does not hold so many bytes.
    """
    inflater = zlib.decompressobj(_WINDOW_BITS)
    try:
        content = inflater.decompress(packed, size + 1)
        # The end of the stream may still have to be read when all of its bytes are there.
        content += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise PatchError("a compressed member is damaged") from error
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise PatchError("a compressed member does not have the declared length")
    return content


def settings_of(
    content: bytes, packed: bytes | memoryview, likely: ZlibSettings | None
) -> ZlibSettings | None:
    """The settings with which zlib makes `packed` of `content`; None where there are none.

    Args:
        content: The content.
        packed: What its maker made of it.
        likely: What to try first.
    """
    wanted = bytes(packed)
    for settings in dict.fromkeys([likely, *_CANDIDATES] if likely else _CANDIDATES):
        if len(content) > _PREFIX and not wanted.startswith(_beginning(content, settings)):
            continue
        if _compressed(content, settings) == wanted:
            return settings
    return None


def rebuild(content: bytes, settings: ZlibSettings, length: int, crc: int) -> bytes:
    """The compressed member again, whatever zlib this device has.

    Raises:
        PatchError: It does not have that length and CRC-32.
    """
    packed = _compressed(content, settings)
    if len(packed) != length or zlib.crc32(packed) != crc:
        raise PatchError("a compressed member cannot be made again")
    return packed


@cache
def device_has_zlib(settings: ZlibSettings) -> bool:
    """Whether this device's zlib finds the matches that zlib finds with these settings.

    zlib-ng and others that take its place give streams of their own.
    """
    sample = " ".join(str(n * n) for n in range(1, 1500)).encode()
    return _by_device(sample, settings) == deflate(sample, *settings)


def _compressed(content: bytes, settings: ZlibSettings) -> bytes:
    if device_has_zlib(settings):
        return _by_device(content, settings)
    return deflate(content, *settings)


def _beginning(content: bytes, settings: ZlibSettings) -> bytes:
    """Whole bytes that the compressed content surely begins with."""
    if device_has_zlib(settings):
        return _compressor(settings).compress(content[:_PREFIX])
    return beginning(content[:_PREFIX], *settings)


def _by_device(content: bytes, settings: ZlibSettings) -> bytes:
    compressor = _compressor(settings)
    return compressor.compress(content) + compressor.flush()


def _compressor(settings: ZlibSettings) -> zlib._Compress:
    return zlib.compressobj(settings.level, zlib.DEFLATED, _WINDOW_BITS, settings.memory)
