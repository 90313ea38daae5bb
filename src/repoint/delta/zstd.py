"""Single zstd frames of a known length, optionally with a raw dictionary (RFC 8878).

The library is the standard library's `compression.zstd`, or its backport on Python below 3.14.
"""

from __future__ import annotations

import sys

from repoint.delta.errors import PatchError
from repoint.delta.mapped import fill

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW_LOGS = (17, 30)
"""2**30 is the largest window that 32-bit and 64-bit decoders of zstd both accept."""
DEFAULT_WINDOW_LOG = 27
"""The largest window that a frame without a dictionary may ask for (128 MiB), as in `zstd`."""
SHORTEST_DICTIONARY = 8
"""The library refuses shorter dictionaries."""
_ON, _OFF = 1, 2
"""ZSTD_ps_enable and ZSTD_ps_disable. By default (0) the library looks for distant matches in
content of 128 MiB and more, for which zeros, as in sparse files, take ten times as long."""
_CHUNK = 1 << 20


def compress(data: bytes | memoryview, level: int = 19) -> bytes:
    """Return one frame that declares its content size."""
    return zstd.compress(data, level)


def compress_against(old: memoryview, new: memoryview, level: int) -> bytes:
    """Return one frame with the whole old file as its dictionary, as `zstd --patch-from` does.

    Raises:
        MemoryError: The library lacks memory. It needs less than 1 GB and a copy of the old file.
    """
    parameter = zstd.CompressionParameter
    largest, distant = (WINDOW_LOGS[1], _ON) if len(old) else (DEFAULT_WINDOW_LOG, _OFF)
    options: dict[int, int] = {
        parameter.compression_level: level,
        parameter.window_log: min(window_log(old, new), largest),
        parameter.enable_long_distance_matching: distant,
        parameter.content_size_flag: 1,
        parameter.checksum_flag: 0,
        parameter.dict_id_flag: 0,
    }
    compressor = zstd.ZstdCompressor(options=options, zstd_dict=_dictionary(old))
    try:
        return compressor.compress(new, zstd.ZstdCompressor.FLUSH_FRAME)
    except zstd.ZstdError as error:  # with valid parameters, it fails for no other reason
        raise MemoryError(str(error)) from error


def decompress(frame: bytes | memoryview, size: int, what: str, window: int = 0) -> bytes:
    """Return the `size` bytes of a frame.

    Args:
        frame: One frame; its bytes may be hostile.
        size: The content size, which the frame must declare.
        what: The subject of error messages.
        window: Log2 of the largest window in bytes; `DEFAULT_WINDOW_LOG` if 0.

    Raises:
        PatchError: The frame is damaged, or does not have the declared length.
        MemoryError: There is not enough memory.
    """
    content = bytearray(size)
    log = window or DEFAULT_WINDOW_LOG
    decompress_into(memoryview(content), frame, memoryview(b""), what, log)
    return bytes(content)


def decompress_into(
    new: memoryview, frame: bytes | memoryview, old: memoryview, what: str, window: int
) -> None:
    """Fill `new` with the content of a frame whose dictionary is `old`.

    Sizes are checked before anything is decompressed. The library then reserves at most the window
    or the content, whichever is smaller, and a copy of the dictionary.

    Args:
        new: The output, as long as the frame must declare.
        frame: One frame; its bytes may be hostile.
        old: The dictionary; empty for none.
        what: The subject of error messages.
        window: Log2 of the largest window in bytes.

    Raises:
        PatchError: The frame is damaged, or does not have the declared length.
        MemoryError: There is not enough memory.
    """
    try:
        if zstd.get_frame_info(frame).decompressed_size != len(new):
            raise PatchError(f"{what} does not have the declared length")
        if _window_size(frame) > 1 << window:
            raise PatchError(f"{what} asks for a larger window than allowed")
        options: dict[int, int] = {zstd.DecompressionParameter.window_log_max: window}
        decompressor = zstd.ZstdDecompressor(zstd_dict=_dictionary(old), options=options)
        filled, rest = 0, frame
        while not decompressor.eof:
            chunk = decompressor.decompress(rest, _CHUNK)
            rest = b""
            if filled + len(chunk) > len(new) or (not chunk and decompressor.needs_input):
                raise PatchError(f"{what} is damaged")
            fill(new[filled : filled + len(chunk)], chunk)
            filled += len(chunk)
    except zstd.ZstdError as error:
        raise PatchError(f"{what} is damaged") from error
    if filled != len(new) or decompressor.unused_data:
        raise PatchError(f"{what} does not have the declared length")


def window_log(old: memoryview, new: memoryview) -> int:
    """Return the log2 of a window that reaches from the end of `new` to the start of `old`."""
    return max((len(old) + len(new)).bit_length(), WINDOW_LOGS[0])


def _window_size(frame: bytes | memoryview) -> int:
    """Return the window that a frame's header declares in bytes; 0 if it is the whole content.

    The library checks the window only when it reserves one, which is not so for short content.
    RFC 8878, 3.1.1.1: after the magic number come a byte of flags and a window descriptor.
    """
    header = bytes(frame[4:6])
    if len(header) < 2 or header[0] & 0x20:
        return 0
    descriptor = header[1]
    base = 1 << (10 + (descriptor >> 3))
    return base + base // 8 * (descriptor & 7)


def _dictionary(old: memoryview) -> tuple[zstd.ZstdDict, int] | None:
    # A prefix is a dictionary without structure, whatever its first bytes are.
    return zstd.ZstdDict(old, is_raw=True).as_prefix if len(old) else None
