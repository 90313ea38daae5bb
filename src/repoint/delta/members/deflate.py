"""zlib's compression, bit by bit: matches from `match_search`, codes from `huffman`.

Some hundred times slower than zlib itself, so it is for devices whose zlib is another (zlib-ng and
others find other matches), and for seeing which kind this device's is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from repoint.delta.members import huffman
from repoint.delta.members.match_search import Block, blocks

_STORED, _FIXED, _DYNAMIC = 0, 1, 2
_UNSURE = 1 << 10


def deflate(content: bytes, level: int, memory: int) -> bytes:
    """The raw DEFLATE stream that zlib makes of a content in one go, with a window of 32 KiB.

    Args:
        content: What to compress.
        level: From 1 to 9.
        memory: zlib's `memLevel`, from 1 to 9.
    """
    made = list(blocks(content, level, memory))
    out = _Bits()
    for block in made:
        _write(out, content, block, block is made[-1])
    return out.finish()


def beginning(content: bytes, level: int, memory: int) -> bytes:
    """Whole bytes that the stream of any longer content begins with, as many as are sure."""
    out = _Bits()
    for block in blocks(content, level, memory):
        # What lies near the end would be matched otherwise, did the content go on.
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
        """Add zeros up to a whole byte."""
        have = sum(int(widths.sum()) for widths in self._widths)
        if have % 8:
            self.add([0], [8 - have % 8])

    def whole(self) -> bytes:
        """The bytes that are full."""
        bits = sum(int(widths.sum()) for widths in self._widths)
        return self.finish()[: bits // 8]

    def finish(self) -> bytes:
        """All bits, filled up with zeros to whole bytes."""
        if not self._values:
            return b""
        values, widths = np.concatenate(self._values), np.concatenate(self._widths)
        ends = np.cumsum(widths)
        starts = ends - widths
        size = (int(ends[-1]) + 7) // 8
        shifted = values << (starts & np.uint64(7))
        first = (starts >> np.uint64(3)).astype(np.int64)
        # No two numbers have a bit in common, so adding them is joining them.
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
    """Per symbol its code with the extra bits behind it, and the width of both.

    Extra bits are the lowest of a value: codes that have n of them start at multiples of 2**n,
    but for the base that all codes below them add up to.
    """
    codes = np.array(code.codes, np.uint64)[symbols]
    widths = np.array(code.lengths, np.uint64)[symbols]
    starts = np.cumsum([0, *(1 << bits for bits in extra)])
    # The longest match has a code of its own, though the one before it could say it too.
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
