"""Codec `xz`: the new file under LZMA2."""

from __future__ import annotations

from repoint.delta.codecs.codec import LARGEST, Codec, Fallback
from repoint.delta.errors import PatchError

_ELF_MAGIC = b"\x7fELF"
_WINDOW_LOGS = (16, 26)
"""64 MiB bounds what a device needs to decode."""


class Xz(Codec):
    """The whole new file under raw LZMA2; the first byte is 1 if x86 code was filtered.

    The filter turns relative targets of x86 branches into absolute ones, which repeat.
    """

    name = "xz"
    largest = LARGEST
    fallback = Fallback(ratio=3)
    """No compressor makes a file three times smaller than zstd's fastest level does."""

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        import lzma

        if not len(new):
            return None
        payloads = [
            bytes([x86]) + lzma.compress(new, lzma.FORMAT_RAW, filters=_filters(x86, len(new)))
            for x86 in ((0, 1) if bytes(new[:4]) == _ELF_MAGIC else (0,))
        ]
        return min(payloads, key=len)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        import lzma

        if not len(payload) or payload[0] > 1:
            raise PatchError("an LZMA2 payload is damaged")
        filters = _filters(payload[0], len(new))
        try:
            decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
            content = decompressor.decompress(payload[1:], max_length=len(new) + 1)
        except (lzma.LZMAError, EOFError) as error:
            raise PatchError("an LZMA2 payload is damaged") from error
        if len(content) != len(new) or not decompressor.eof or decompressor.unused_data:
            raise PatchError("an LZMA2 payload does not have the declared length")
        new[:] = content

    def prepare(self) -> None:
        import lzma  # noqa: F401


def _filters(x86: int, length: int) -> list[dict[str, int]]:
    """Return LZMA2 with a dictionary that holds the whole file, up to what a device can spare."""
    import lzma

    window = 1 << max(_WINDOW_LOGS[0], min(length.bit_length(), _WINDOW_LOGS[1]))
    compressor = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}
    return [*([{"id": lzma.FILTER_X86}] if x86 else []), compressor]
