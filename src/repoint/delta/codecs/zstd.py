"""Codec `zstd`: the new file compressed by zstd with the old one as a dictionary."""

from __future__ import annotations

from repoint.delta.codecs.codec import Codec, Fallback
from repoint.delta.errors import PatchError

_LEVEL = 19
_BEST_LEVEL = 22
_BEST_LEVEL_BELOW = 1 << 24
"""Size of both files in bytes below which the best level is tried as well; for larger files it
takes hundreds of megabytes."""
_WHAT = "a zstd payload"


class Zstd(Codec):
    """zstd with the whole old file as a raw dictionary, as `zstd --patch-from` does."""

    name = "zstd"
    fallback = Fallback(ratio=8, always_below=4 << 20)
    """Left out only far behind, since a dictionary can beat any whole-file compression. If hardly
    anything changed, the best patches are all tiny and any of them may be the smallest."""

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        from repoint.delta import zstd

        too_large = zstd.window_log(old, new) > zstd.WINDOW_LOGS[1]
        if len(old) < zstd.SHORTEST_DICTIONARY or not len(new) or too_large:
            return None
        return encode_frame(old, new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta import zstd

        if len(old) < zstd.SHORTEST_DICTIONARY:
            raise PatchError("a zstd payload needs a longer old file")
        decode_frame(old, payload, new)

    def prepare(self) -> None:
        load_zstd()


def encode_frame(old: memoryview, new: memoryview) -> bytes:
    """Return the smallest frame of the levels worth trying, with `old` as its dictionary."""
    from repoint.delta.zstd import compress_against

    small = len(old) + len(new) < _BEST_LEVEL_BELOW
    levels = (_LEVEL, _BEST_LEVEL) if small else (_LEVEL,)
    return min((compress_against(old, new, level) for level in levels), key=len)


def decode_frame(old: memoryview, payload: memoryview, new: memoryview) -> None:
    """Decompress one frame into `new`; its window may be no larger than its files justify.

    Raises:
        PatchError: The frame is damaged, or gives another length.
    """
    from repoint.delta import zstd

    window = min(zstd.window_log(old, new) + 1, zstd.WINDOW_LOGS[1])
    zstd.decompress_into(new, payload, old, _WHAT, window)


def load_zstd() -> None:
    """Load the zstd library and let it allocate what it needs at first use."""
    from repoint.delta import zstd

    zstd.decompress(zstd.compress(b"-"), 1, _WHAT)
