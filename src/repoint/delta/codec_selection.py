"""Which codecs are worth trying for a file.

Trying all of them on everything would be simplest, but the strongest compressors take minutes for
a browser engine, nearly always to lose by a factor of ten or more to a codec that knows the old
file. So those that usually win go first, and the others only have to be tried where they still
could.
"""

from __future__ import annotations

from repoint.delta.codecs import CODECS

_SMALL = 128 << 10
"""Bytes of a file for which every codec is tried; it takes no time."""

_MEDIUM = 4 << 20
"""Bytes of a file up to which zstd is tried in any case: where hardly anything changed, both
patches are tiny, and either may be the smaller."""

_LIKELY = ("hdiff", "elf", "members")

_CANNOT_WIN = {"zstd": 8, "full": 3, "xz": 3}
"""How many times the best payload must be smaller than a quick compression of the whole file for a
codec to be left out. No compressor makes a file three times smaller than zstd's fastest level
does; with the old file as a dictionary, zstd is left out only where it is far behind."""


def first_round(old: memoryview, new: memoryview) -> list[str]:
    """The codecs to try first; nothing is smaller than the empty payload of a plain copy."""
    if old == new:
        return [CODECS[0].name]
    if len(new) <= _SMALL or not len(old):
        return [codec.name for codec in CODECS[1:]]
    return list(_LIKELY)


def second_round(new: memoryview, best: int | None, tried: list[str]) -> list[str]:
    """The codecs that could still win.

    Args:
        new: The new file.
        best: Length of the smallest payload so far, if there is any.
        tried: The codecs of the first round.
    """
    left = [codec.name for codec in CODECS[1:] if codec.name not in tried]
    if best is None or not left:
        return left
    quick = _quick_length(new)
    return [
        name
        for name in left
        if best * _CANNOT_WIN[name] > quick or (name == "zstd" and len(new) <= _MEDIUM)
    ]


def _quick_length(new: memoryview) -> int:
    import zstandard

    return len(zstandard.ZstdCompressor(level=1).compress(new))
