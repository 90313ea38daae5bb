"""Which codecs to try for a file.

Trying all of them on everything would be simplest, but the strongest compressors take minutes for
a browser engine, and nearly always lose by a factor of ten or more to a codec that knows the old
file. So the codecs that usually win go first, and the others (those with a `fallback`) are tried
only if they could still win.
"""

from __future__ import annotations

from repoint.delta.codecs.codec import Codec
from repoint.delta.codecs.table import CodecTable
from repoint.delta.mapped import same_bytes

_SMALL = 128 << 10
"""Size of a file in bytes up to which every codec is tried; it takes no time."""


def first_pass(codecs: CodecTable, old: memoryview, new: memoryview) -> list[str]:
    """Return the codecs to try first."""
    copy, *others = codecs
    if same_bytes(old, new):
        return [copy.name]
    others = _within(others, len(old) + len(new))
    every = len(new) <= _SMALL or not len(old)
    return [codec.name for codec in others if every or codec.fallback is None]


def second_pass(
    codecs: CodecTable, old: memoryview, new: memoryview, best: int | None, tried: list[str]
) -> list[str]:
    """Return the codecs that could still win.

    Args:
        codecs: All codecs.
        old: The old file.
        new: The new file.
        best: Length of the smallest payload so far; None if there is none.
        tried: The codecs of the first pass.
    """
    copy, *others = codecs
    if tried == [copy.name]:
        return []  # nothing is smaller than an empty payload
    left = [codec for codec in _within(others, len(old) + len(new)) if codec.name not in tried]
    if best is None or not left:
        return [codec.name for codec in left]
    quick = _quick_length(new)
    return [
        codec.name
        for codec in left
        if codec.fallback is None
        or best * codec.fallback.ratio > quick
        or len(new) <= codec.fallback.always_below
    ]


def smallest(codecs: CodecTable, old: memoryview, new: memoryview) -> tuple[str, bytes]:
    """Return the best codec for a file, and its payload."""
    payloads: dict[str, bytes] = {}
    tried = first_pass(codecs, old, new)
    payloads |= _encoded(codecs, tried, old, new)
    best = min((len(payload) for payload in payloads.values()), default=None)
    payloads |= _encoded(codecs, second_pass(codecs, old, new, best, tried), old, new)
    name = min(payloads, key=lambda name: codecs.rank(name, len(payloads[name])))
    return name, payloads[name]


def _encoded(
    codecs: CodecTable, names: list[str], old: memoryview, new: memoryview
) -> dict[str, bytes]:
    payloads = {name: codecs.named(name).encode(old, new) for name in names}
    return {name: payload for name, payload in payloads.items() if payload is not None}


def _within(codecs: list[Codec], size: int) -> list[Codec]:
    """Return the codecs that files of this size together do not overtax."""
    return [codec for codec in codecs if not codec.largest or size <= codec.largest]


def _quick_length(new: memoryview) -> int:
    from repoint.delta.zstd import compress

    return len(compress(new, level=1))
