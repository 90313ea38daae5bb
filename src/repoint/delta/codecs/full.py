"""Codec `full`: the new file compressed by zstd."""

from __future__ import annotations

from repoint.delta.codecs.codec import Codec, Fallback
from repoint.delta.codecs.zstd import decode_frame, encode_frame, load_zstd


class Full(Codec):
    """The whole new file, compressed by zstd; the old file is ignored."""

    name = "full"
    fallback = Fallback(ratio=3)
    """No compressor makes a file three times smaller than zstd's fastest level does."""

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        return encode_frame(memoryview(b""), new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        decode_frame(memoryview(b""), payload, new)

    def prepare(self) -> None:
        load_zstd()
