"""Codec `hdiff`: HDiffPatch, the best general delta compressor."""

from __future__ import annotations

from repoint.delta.codecs.codec import LARGEST, Codec
from repoint.delta.errors import DeltaChildError


class HDiff(Codec):
    """HDiffPatch (suffix-sorted matches, differences of bytes), its streams under LZMA2.

    The vendor encodes with the library. A device decodes with `repoint.delta.hdiff13`, which reads
    the one container and compression that `encode` produces.
    """

    name = "hdiff"
    largest = LARGEST

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        from repoint.delta.hdiff13 import WINDOW_LOGS

        if not len(old) or not len(new):
            return None
        try:
            import hdiffpatch
        except ModuleNotFoundError as error:
            raise DeltaChildError(
                "encoding needs the package hdiffpatch", hint="Run: pip install 'repoint[vendor]'"
            ) from error
        window = max(WINDOW_LOGS[0], min((len(old) + len(new)).bit_length(), WINDOW_LOGS[1]))
        # One thread: with more, LZMA2 splits its blocks and the bytes depend on the number.
        config = hdiffpatch.Lzma2Config(level=9, window=window, threads=1)
        return hdiffpatch.diff(bytes(old), bytes(new), config, validate=False)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta.hdiff13 import decode

        decode(old, payload, new)

    def prepare(self) -> None:
        import repoint.delta.hdiff13  # noqa: F401
