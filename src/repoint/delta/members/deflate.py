"""zlib's compression to the bit: matches from `match_search`, codes from `huffman` (RFC 1951).

It is a few hundred times slower than zlib. It serves devices whose zlib module is another library
(zlib-ng and others find other matches), and to find out which one a device has.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from repoint.delta.members import huffman
from repoint.delta.members.match_search import Block, blocks

_STORED, _FIXED, _DYNAMIC = 0, 1, 2
_UNSURE = 1 << 10


def deflate(content: bytes, level: int, memory: int) -> bytes:
    """Return the raw DEFLATE stream of zlib for a content in one call, with a window of 32 KiB.

    Args:
        content: The bytes to compress.
        level: From 1 to 9.
        memory: zlib's `memLevel`, from 1 to 9.
    """
    *most, last = blocks(content, level, memory)
    out = _Bits()
    for block in most:
        _write(out, content, block, last=False)
    _write(out, content, last, last=True)
    return out.finish()


def stable_prefix(content: bytes, level: int, memory: int) -> bytes:
    """Return the bytes with which the stream of any longer content begins, as far as is certain."""
    out = _Bits()
    for block in blocks(content, level, memory):
        # Bytes near the end might be matched differently if the content went on.
        if block.end > len(content) - _UNSURE:
            break
        _write(out, content, block, last=False)
    return out.whole()


class _Bits:
    """A stream of bits, the first one lowest in its byte."""

    def __init__(self) -> None:
        self._values: list[npt.NDArray[np.uint64]] = []
        self._widths: list[npt.NDArray[np.uint64]] = []

    def add(self, values: npt.ArrayLike, widths: npt.ArrayLike) -> None:
        """Add numbers of up to 48 bits."""
        self._values.append(np.asarray(values, np.uint64))
        self._widths.append(np.asarray(widths, np.uint64))

    def align(self) -> None:
        """Add zeros up to a byte boundary."""
        bits = sum(int(widths.sum()) for widths in self._widths)
        if bits % 8:
            self.add([0], [8 - bits % 8])

    def whole(self) -> bytes:
        """Return the complete bytes."""
        bits = sum(int(widths.sum()) for widths in self._widths)
        return self.finish()[: bits // 8]

    def finish(self) -> bytes:
        """Return all bits, padded with zeros to whole bytes."""
        if not self._values:
            return b""
        values, widths = np.concatenate(self._values), np.concatenate(self._widths)
        ends = np.cumsum(widths)
        starts = ends - widths
        size = (int(ends[-1]) + 7) // 8
        shifted = values << (starts & np.uint64(7))
        first = (starts >> np.uint64(3)).astype(np.int64)
        # No two numbers share a bit, so adding them joins them.
        out = np.zeros(size + 8)
        for lane in range(7):
            part = (shifted >> np.uint64(8 * lane)) & np.uint64(255)
            out += np.bincount(first + lane, part, minlength=size + 8)[: size + 8]
        return out[:size].astype(np.uint8).tobytes()


def _write(out: _Bits, content: bytes, block: Block, last: bool) -> None:
    lengths = np.array(block.lengths, np.int64)
    values = np.array(block.values, np.int64)
    match = lengths > 0
    literal_symbols = np.where(match, _LENGTH_CODES[lengths], values)
    distance_symbols = _distance_codes(values[match])
    literals = np.bincount(literal_symbols, minlength=286).tolist()
    literals[huffman.END] = 1
    distances = np.bincount(distance_symbols, minlength=30).tolist()
    literal_code, distance_code = huffman.literal_code(literals), huffman.distance_code(distances)
    fields, cost = huffman.description(literal_code, distance_code)
    dynamic = (literal_code.cost + distance_code.cost + cost + 3 + 7) // 8
    fixed = (huffman.fixed_cost(literals, distances) + 3 + 7) // 8
    stored = block.end - block.start
    if block.storable and stored + 4 <= min(dynamic, fixed):
        out.add([_STORED << 1 | last], [3])
        out.align()
        out.add([stored, stored ^ 0xFFFF], [16, 16])
        out.add(np.frombuffer(content, np.uint8)[block.start : block.end], np.full(stored, 8))
        return
    if fixed <= dynamic:
        out.add([_FIXED << 1 | last], [3])
        literal_code, distance_code = huffman.fixed_codes()
    else:
        out.add([_DYNAMIC << 1 | last], [3])
        out.add([value for value, _ in fields], [bits for _, bits in fields])
    literal_bits = _join(literal_code, literal_symbols, 257, lengths - 3, huffman.LENGTH_EXTRA)
    match_bits = _join(
        distance_code, distance_symbols, 0, values[match] - 1, huffman.DISTANCE_EXTRA
    )
    joined, widths = literal_bits
    joined[match] |= match_bits[0] << widths[match]
    widths[match] += match_bits[1]
    out.add(joined, widths)
    out.add([literal_code.codes[huffman.END]], [literal_code.lengths[huffman.END]])


def _join(
    code: huffman.Code,
    symbols: npt.NDArray[np.int64],
    first: int,
    values: npt.NDArray[np.int64],
    extra: tuple[int, ...],
) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint64]]:
    """Return per symbol its code followed by the extra bits, and the width of both.

    The extra bits are the low bits of the distance from the first value of the symbol's code.
    """
    codes = np.array(code.codes, np.uint64)[symbols]
    widths = np.array(code.lengths, np.uint64)[symbols]
    starts = np.cumsum([0, *(1 << bits for bits in extra)])
    # The longest match has a code of its own, although the code before it could express it.
    plain = symbols < first
    index = np.where(plain, 0, symbols - first)
    bits = np.where(plain, 0, np.array(extra)[index]).astype(np.uint64)
    rest = np.where(bits > 0, values - starts[index], 0).astype(np.uint64)
    return codes | rest << widths, widths + bits


def _codes_of(extra: tuple[int, ...]) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(len(extra)), [1 << bits for bits in extra])


def _distance_codes(distances: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return _DISTANCE_CODES[distances - 1]


_DISTANCE_CODES = _codes_of(huffman.DISTANCE_EXTRA)
_LENGTH_CODES = np.concatenate([[0] * 3, 257 + _codes_of(huffman.LENGTH_EXTRA)[:255], [285]])
"""Per length of a match its symbol; lengths below 3 do not occur."""
