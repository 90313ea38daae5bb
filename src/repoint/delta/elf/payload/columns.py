"""Columns of integers as bytes, and byte streams in the compression that suits them best."""

import lzma
from collections.abc import Callable

import numpy as np

from repoint.delta import zstd
from repoint.delta.elf.common.arrays import I64, U64
from repoint.delta.errors import PatchError

_WINDOW_LOG = 23
"""A decoder keeps at most 8 MiB of history, whatever a patch declares."""
_WINDOW = 1 << _WINDOW_LOG
_LZMA = {
    method: {
        "id": lzma.FILTER_LZMA1,
        "preset": 9 | lzma.PRESET_EXTREME,
        "dict_size": _WINDOW,
        "lc": lc,
        "lp": lp,
        "pb": pb,
    }
    for method, (lc, lp, pb) in {1: (3, 0, 0), 2: (0, 2, 2), 3: (4, 0, 0)}.items()
}
"""Stream method -> raw LZMA1 filter. lc=0/lp=2 suits words of four bytes, pb=0 suits bytes."""
_STORED, _ZSTD = 0, 4
_LONG = 1 << 22
"""Length of a stream in bytes above which a sample of it decides the method."""


def zigzag(values: I64) -> U64:
    """Map signed to unsigned integers: 0, -1, 1, -2 ... become 0, 1, 2, 3 ..."""
    return ((values << 1) ^ (values >> 63)).view(np.uint64)


def unzigzag(values: U64) -> I64:
    """Map back what `zigzag` maps."""
    half = (values >> np.uint64(1)).view(np.int64)
    return half ^ -(values & np.uint64(1)).view(np.int64)


def pack(values: I64 | U64) -> bytes:
    """Return non-negative integers as LEB128: seven bits a byte, low bits first."""
    v = values.astype(np.uint64)
    size = np.ones(len(v), np.int64)
    for k in range(1, 10):
        size += v >= np.uint64(1 << (7 * k))
    at = np.cumsum(size) - size
    out = np.zeros(int(size.sum()), np.uint8)
    for k in range(10):
        has = np.flatnonzero(size > k)
        if not len(has):
            break
        low = (v[has] >> np.uint64(7 * k)) & np.uint64(127)
        out[at[has] + k] = low | np.where(size[has] > k + 1, 128, 0).astype(np.uint64)
    return out.tobytes()


def unpack(data: bytes) -> I64:
    """Return the integers of a column.

    Raises:
        PatchError: The column ends inside a number, or a number is 2**63 or larger.
    """
    raw = np.frombuffer(data, np.uint8)
    last = np.flatnonzero(raw < 128)
    if len(raw) and (not len(last) or last[-1] != len(raw) - 1):
        raise PatchError("a column ends inside a number")
    size = np.diff(last, prepend=-1)
    if len(size) and int(size.max()) > 9:
        raise PatchError("a column holds a number that is too large")
    first = last - size + 1
    out = np.zeros(len(last), np.int64)
    for k in range(int(size.max()) if len(size) else 0):
        has = np.flatnonzero(size > k)
        out[has] |= (raw[first[has] + k].astype(np.int64) & 127) << (7 * k)
    return out


def compress(data: bytes) -> tuple[int, bytes]:
    """Return the best method for a stream and the stream compressed by it.

    The methods are tried on a sample of a long stream: trying all of them on all of it would take
    most of the time of encoding files that have little in common.
    """
    if len(data) <= 8:
        return _STORED, data
    methods = [_STORED, *_LZMA, _ZSTD]
    if len(data) > _LONG:
        middle = len(data) // 2
        sample = data[middle : middle + _LONG // 4]
        methods = [_STORED, min(methods[1:], key=lambda m: (len(_compressed(m, sample)), m))]
    tries = [(method, _compressed(method, data)) for method in methods]
    return min(tries, key=lambda t: (len(t[1]), t[0]))


def _compressed(method: int, data: bytes) -> bytes:
    if method == _STORED:
        return data
    if method == _ZSTD:
        return zstd.compress(data)
    return lzma.compress(data, lzma.FORMAT_RAW, filters=[_filter(method, len(data))])


def decompress(method: int, data: bytes, size: int) -> bytes:
    """Return exactly `size` bytes; takes no more memory than those and a window.

    Raises:
        PatchError: The stream is damaged, or has another length.
    """
    try:
        out = _decoder(method, size)(data)
    except (lzma.LZMAError, EOFError, ValueError) as error:
        raise PatchError("a compressed stream is damaged") from error
    if len(out) != size:
        raise PatchError("a stream does not have the declared length")
    return out


def _decoder(method: int, size: int) -> Callable[[bytes], bytes]:
    if method == _STORED:
        return bytes
    if method in _LZMA:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[_filter(method, size)])
        return lambda data: decoder.decompress(data, size)
    if method == _ZSTD:
        return lambda data: zstd.decompress(data, size, "a compressed stream", _WINDOW_LOG)
    raise PatchError("a stream uses an unknown compression")


def _filter(method: int, size: int) -> dict[str, int]:
    """Return the filter for a stream of this size: a larger window would only take memory."""
    return {**_LZMA[method], "dict_size": min(_WINDOW, max(4096, size))}
