"""Inflating members, and compressing them again to the same bytes."""

from __future__ import annotations

import zlib
from functools import cache
from typing import NamedTuple

from repoint.delta.errors import PatchError
from repoint.delta.members.deflate import deflate, stable_prefix

_WINDOW_BITS = -15
"""A raw stream, without zlib's header."""
_PREFIX = 96 << 10
"""Bytes of a content that are compressed first, to rule out most settings quickly."""


class ZlibSettings(NamedTuple):
    """zlib's level and `memLevel`."""

    level: int
    memory: int


_CANDIDATES = tuple(
    ZlibSettings(level, memory) for memory in (8, 9) for level in (6, 9, 1, 5, 8, 7, 4, 3, 2)
)
"""The settings that programs use, the most common first."""


def inflate(packed: bytes | memoryview, size: int) -> bytes:
    """Return the content of a raw DEFLATE stream.

    Raises:
        PatchError: The stream is damaged, or its content has another size.
    """
    inflater = zlib.decompressobj(_WINDOW_BITS)
    try:
        content = inflater.decompress(packed, size + 1)
        # The end-of-block code may still be unread when all bytes are out.
        content += inflater.decompress(inflater.unconsumed_tail, 1)
    except zlib.error as error:
        raise PatchError("a compressed member is damaged") from error
    if len(content) != size or not inflater.eof or inflater.unused_data:
        raise PatchError("a compressed member does not have the declared length")
    return content


def find_settings(
    content: bytes, packed: bytes | memoryview, likely: ZlibSettings | None
) -> ZlibSettings | None:
    """Return the settings with which zlib compresses `content` to `packed`; None if there are none.

    Args:
        content: The content of a member.
        packed: The member's compressed bytes.
        likely: Settings to try first.
    """
    expected = bytes(packed)
    for settings in dict.fromkeys([likely, *_CANDIDATES] if likely else _CANDIDATES):
        if len(content) > _PREFIX and not expected.startswith(_prefix(content, settings)):
            continue
        if _compressed(content, settings) == expected:
            return settings
    return None


def rebuild(content: bytes, settings: ZlibSettings, length: int, crc: int) -> bytes:
    """Return the compressed member, whatever zlib this device has.

    Raises:
        PatchError: The result does not have the expected length and CRC-32.
    """
    packed = _compressed(content, settings)
    if len(packed) != length or zlib.crc32(packed) != crc:
        raise PatchError("a compressed member cannot be rebuilt")
    return packed


@cache
def device_has_zlib(settings: ZlibSettings) -> bool:
    """Return whether this device's zlib module compresses as zlib does with these settings.

    zlib-ng and other replacements give different streams.
    """
    sample = " ".join(str(n * n) for n in range(1, 1500)).encode()
    return _by_device(sample, settings) == deflate(sample, *settings)


def _compressed(content: bytes, settings: ZlibSettings) -> bytes:
    if device_has_zlib(settings):
        return _by_device(content, settings)
    return deflate(content, *settings)


def _prefix(content: bytes, settings: ZlibSettings) -> bytes:
    """Return bytes with which the compressed content certainly begins."""
    if device_has_zlib(settings):
        return _compressor(settings).compress(content[:_PREFIX])
    return stable_prefix(content[:_PREFIX], *settings)


def _by_device(content: bytes, settings: ZlibSettings) -> bytes:
    compressor = _compressor(settings)
    return compressor.compress(content) + compressor.flush()


def _compressor(settings: ZlibSettings) -> zlib._Compress:
    return zlib.compressobj(settings.level, zlib.DEFLATED, _WINDOW_BITS, settings.memory)
