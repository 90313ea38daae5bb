"""The codecs: one interface, and the general ones behind it.

A codec turns an old file and a new file into a payload, and the old file and the payload back into
the new file. A new codec is one more class in `CODECS`; nothing else has to know it.
"""

from __future__ import annotations

from typing import Protocol

from repoint.delta.errors import PatchError

_HDIFF_MAGIC = b"HDIFF13&lzma2\0"
_ELF_MAGIC = b"\x7fELF"
_ZSTD_LEVEL = 19
_ZSTD_BEST = 22
_ZSTD_BEST_BELOW = 1 << 24
"""Bytes of both files below which the best level is tried too; above, it takes hundreds of MB."""
_ZSTD_WINDOW_LOGS = (17, 30)
"""2**30 is the largest window that 32-bit and 64-bit decoders of zstd both accept."""
_LZMA_WINDOW_LOGS = (16, 26)
"""hdiff's streams are far smaller than the files; 64 MiB bounds what a device needs to decode."""


class Codec(Protocol):
    """One way to encode a new file, given an old one.

    Both ways are functions of their arguments alone: the same input gives the same bytes. The
    views are flat, contiguous and of bytes, so that mapped files can be passed; an old file that
    does not exist is an empty view.
    """

    @property
    def name(self) -> str:
        """The codec's name in a patch. Never reused for another encoding."""

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        """The payload, or None where the codec has nothing to offer for these files."""

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        """Fill all of `new`, whose length is the declared one.

        Raises:
            PatchError: The payload is not one of this codec, or gives another length.
            MemoryError: The payload asks for more memory than this process may have.
        """


class Copy:
    """The new file is the old one under another name; the payload is empty."""

    name = "copy"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        return b"" if old == new else None

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        if len(payload) or len(old) != len(new):
            raise PatchError("a copied file does not have its source's length")
        new[:] = old


class Full:
    """The whole new file, compressed by zstd; the old file is ignored."""

    name = "full"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        return _zstd_encode(memoryview(b""), new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        _zstd_decode(memoryview(b""), payload, new)


class Xz:
    """The whole new file under raw LZMA2; the first byte says whether x86 code was filtered.

    Filtering turns the relative targets of x86 branches into absolute ones, which repeat.
    """

    name = "xz"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        import lzma

        if not len(new):
            return None
        made = [
            bytes([x86]) + lzma.compress(new, lzma.FORMAT_RAW, filters=_lzma_filters(x86, len(new)))
            for x86 in ((0, 1) if bytes(new[:4]) == _ELF_MAGIC else (0,))
        ]
        return min(made, key=len)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        import lzma

        if not len(payload) or payload[0] > 1:
            raise PatchError("an LZMA2 payload is damaged")
        filters = _lzma_filters(payload[0], len(new))
        try:
            decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
            made = decompressor.decompress(payload[1:], max_length=len(new) + 1)
        except (lzma.LZMAError, EOFError) as error:
            raise PatchError("an LZMA2 payload is damaged") from error
        if len(made) != len(new) or not decompressor.eof or decompressor.unused_data:
            raise PatchError("an LZMA2 payload does not give the declared length")
        new[:] = made


class Zstd:
    """zstd with the whole old file as a raw dictionary, as `zstd --patch-from` has it."""

    name = "zstd"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        # A dictionary shorter than its magic number is an empty one to zstd.
        if len(old) < 8 or not len(new) or _window_log(old, new) > _ZSTD_WINDOW_LOGS[1]:
            return None
        return _zstd_encode(old, new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        _zstd_decode(old, payload, new)


class HDiff:
    """HDiffPatch (suffix-sorted matches, bytewise differences), its streams under LZMA2.

    Only the one container and compression that `encode` makes is accepted: of the library's dozen
    decompressors, a patch reaches one.
    """

    name = "hdiff"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        import hdiffpatch

        if not len(old) or not len(new):
            return None
        window = _clamp((len(old) + len(new)).bit_length(), _LZMA_WINDOW_LOGS)
        # One thread: with more, LZMA2 splits its blocks and the bytes depend on the number.
        config = hdiffpatch.Lzma2Config(level=9, window=window, threads=1)
        return hdiffpatch.diff(bytes(old), bytes(new), config, validate=False)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        import hdiffpatch

        raw = bytes(payload)
        # Before the library reserves what the patch claims to need.
        if not raw.startswith(_HDIFF_MAGIC):
            raise PatchError("a payload is not an HDiffPatch of the kind that Repoint makes")
        new_size, at = _hdiff_number(raw, len(_HDIFF_MAGIC))
        old_size, _ = _hdiff_number(raw, at)
        if (old_size, new_size) != (len(old), len(new)):
            raise PatchError("an HDiffPatch payload is made for files of other lengths")
        try:
            made = hdiffpatch.apply(bytes(old), raw)
        except (hdiffpatch.HDiffPatchError, ValueError, OverflowError) as error:
            raise PatchError("an HDiffPatch payload is damaged") from error
        if len(made) != len(new):
            raise PatchError("an HDiffPatch payload does not give the declared length")
        new[:] = made


class Elf:
    """Compiled code: references are found, mapped and predicted; see `repoint.delta.elf`."""

    name = "elf"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        if bytes(old[:4]) != _ELF_MAGIC or bytes(new[:4]) != _ELF_MAGIC:
            return None
        from repoint.delta.elf.codec import encode

        return encode(old, new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta.elf.codec import decode

        decode(old, payload, new)


class Members:
    """Files that hold other files: what is inside is encoded; see `repoint.delta.members`."""

    name = "members"

    def encode(self, old: memoryview, new: memoryview) -> bytes | None:
        from repoint.delta.members.codec import encode

        return encode(old, new)

    def decode(self, old: memoryview, payload: memoryview, new: memoryview) -> None:
        from repoint.delta.members.codec import decode

        decode(old, payload, new)


CODECS: tuple[Codec, ...] = (Copy(), Full(), Xz(), Zstd(), HDiff(), Elf(), Members())
"""From the simplest, a plain copy, on: of equally small payloads the first one wins."""


def codec_named(name: str) -> Codec:
    """The codec of this name.

    Raises:
        PatchError: There is none; the patch may need a newer Repoint.
    """
    for codec in CODECS:
        if codec.name == name:
            return codec
    raise PatchError(
        f"the patch uses a codec that is not known here: {name[:40]!r}",
        hint="Update Repoint on this device",
    )


def rank(name: str, length: int) -> tuple[int, int]:
    """The order in which payloads are preferred: shorter first, then by the simpler codec."""
    return length, [codec.name for codec in CODECS].index(name)


def _lzma_filters(x86: int, length: int) -> list[dict[str, int]]:
    """LZMA2 with a dictionary that holds the whole file, up to what a device can spare."""
    import lzma

    window = 1 << _clamp(length.bit_length(), _LZMA_WINDOW_LOGS)
    compressor = {"id": lzma.FILTER_LZMA2, "preset": 9 | lzma.PRESET_EXTREME, "dict_size": window}
    return [*([{"id": lzma.FILTER_X86}] if x86 else []), compressor]


def _clamp(value: int, bounds: tuple[int, int]) -> int:
    return max(bounds[0], min(value, bounds[1]))


def _window_log(old: memoryview, new: memoryview) -> int:
    """The log2 of a window from the end of the new file back to the start of the old one."""
    return max((len(old) + len(new)).bit_length(), _ZSTD_WINDOW_LOGS[0])


def _zstd_encode(old: memoryview, new: memoryview) -> bytes:
    small = len(old) + len(new) < _ZSTD_BEST_BELOW
    levels = (_ZSTD_LEVEL, _ZSTD_BEST) if small else (_ZSTD_LEVEL,)
    return min((_zstd_encode_at(level, old, new) for level in levels), key=len)


def _zstd_encode_at(level: int, old: memoryview, new: memoryview) -> bytes:
    import zstandard

    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(old) + len(new),
        window_log=_clamp(_window_log(old, new), _ZSTD_WINDOW_LOGS),
        enable_ldm=len(old) > 0,
        write_content_size=True,
        write_checksum=False,
        write_dict_id=False,
    )
    compressor = zstandard.ZstdCompressor(
        compression_params=parameters, dict_data=_zstd_dictionary(old)
    )
    return compressor.compress(new)


def _zstd_decode(old: memoryview, payload: memoryview, new: memoryview) -> None:
    """Decompress one frame in one step: the output is its own window, so no other is reserved."""
    import zstandard

    try:
        frame = zstandard.get_frame_parameters(payload)
        if frame.content_size != len(new):
            raise PatchError("a zstd payload does not give the declared length")
        if frame.window_size > 1 << _clamp(_window_log(old, new) + 1, _ZSTD_WINDOW_LOGS):
            raise PatchError("a zstd payload asks for a window larger than its files")
        decompressor = zstandard.ZstdDecompressor(dict_data=_zstd_dictionary(old))
        made = decompressor.decompress(payload, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise PatchError("a zstd payload is damaged") from error
    if len(made) != len(new):
        raise PatchError("a zstd payload does not give the declared length")
    new[:] = made


def _zstd_dictionary(old: memoryview):  # type: ignore[no-untyped-def]
    import zstandard

    if not len(old):
        return None
    return zstandard.ZstdCompressionDict(old, dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def _hdiff_number(raw: bytes, at: int) -> tuple[int, int]:
    """HDiffPatch's packed number: seven bits a byte, high ones first, bit 7 on all but the last."""
    value = 0
    for position in range(at, min(at + 9, len(raw))):
        value = value << 7 | raw[position] & 0x7F
        if raw[position] < 0x80:
            return value, position + 1
    raise PatchError("an HDiffPatch payload is damaged")
