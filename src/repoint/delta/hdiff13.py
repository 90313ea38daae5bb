r"""HDiffPatch's container HDIFF13 with LZMA2, decoded without its library.

Only what the encoder of codec `hdiff` produces is read. A *number* has seven bits a byte, high ones
first, and bit 7 is set on all bytes but the last; in the first byte of a number with a tag of n
bits, the tag takes the n highest bits and the continuation bit is the next one. The layout:

    "HDIFF13&lzma2\0"  size of the new file  size of the old file  number of covers
    for each stream: its size, and its stored size, or 0 if it is not compressed
    the streams as stored: covers, control, codes, new bytes

A compressed stream is the LZMA2 property byte (the dictionary size), then raw LZMA2.

- *covers*: ranges of the new file that resemble a range of the old one. Three numbers each: the
  distance of the old range from the end of the one before (tag of one bit: 1 for backwards), the
  bytes between the new range and the one before, and the length of both.
- *control*, *codes*: what to add to each byte of the new file, run-length encoded. A number with a
  tag of two bits is the length of a run minus 1. Tags: 0 a run of zeros, 1 of 255, 2 of one byte
  from the codes, 3 bytes from the codes one by one.
- *new bytes*: what no cover holds, in order.
"""

from __future__ import annotations

import lzma
from typing import NamedTuple

from repoint.delta.errors import PatchError

MAGIC = b"HDIFF13&lzma2\0"
WINDOW_LOGS = (16, 26)
"""Bounds of the LZMA2 dictionary: the streams are far smaller than the files, and 64 MiB is what a
device can spare."""
_LARGEST_PROPERTY = 28
"""The LZMA2 property byte of a dictionary of 64 MiB."""
_SMALLEST_DICTIONARY = 4096
_MOST_PER_BYTE = 4
"""A stream is at most this many times as large as the new file (and a page). A cover of the encoder
is at least five bytes long and takes fewer than 20; the other streams are no larger than the
file."""
_LONGEST_NUMBER = 9
_ONES, _REPEATED, _BYTES = 1, 2, 3
"""Tags of runs in the control stream; 0 is a run of zeros."""
_CHUNK = 1 << 12
"""Bytes added at a time. Small, because most chunks have nothing to add and are skipped."""
_LOW_BITS = int.from_bytes(b"\x7f" * _CHUNK, "little")
_HIGH_BITS = int.from_bytes(b"\x80" * _CHUNK, "little")

_Cover = tuple[int, int, int]
"""Offset in the new file, offset in the old file, length."""


class _Preamble(NamedTuple):
    """The numbers at the front of a payload.

    Attributes:
        covers: Number of covers.
        streams: Per stream its size, and its stored size or 0.
        end: Offset of the first stream.
    """

    covers: int
    streams: list[tuple[int, int]]
    end: int


def decode(old: memoryview, payload: memoryview, new: memoryview) -> None:
    """Fill `new` from the old file and a payload, which may be hostile.

    Besides the two files this takes the memory of the streams and of one more new file.

    Raises:
        PatchError: The payload is damaged, or made for files of other lengths.
    """
    raw = bytes(payload)
    preamble = _preamble(raw, len(old), len(new))
    covers, control, codes, fresh = _streams(raw, preamble)
    ranges = _covers(covers, preamble.covers, len(old), len(new))
    if sum(length for _, _, length in ranges) + len(fresh) != len(new):
        raise PatchError("an HDiffPatch payload has bytes missing or left over")
    for to, source, length in ranges:
        new[to : to + length] = old[source : source + length]
    _add(new, _differences(control, codes, len(new)))
    # Written last: what the control stream adds between covers does not count.
    filled = taken = 0
    for to, _, length in [*ranges, (len(new), 0, 0)]:
        new[filled:to] = fresh[taken : taken + to - filled]
        taken += to - filled
        filled = to + length


def _preamble(raw: bytes, old_size: int, new_size: int) -> _Preamble:
    if not raw.startswith(MAGIC):
        raise PatchError("a payload is not an HDiffPatch of the kind that Repoint makes")
    at = len(MAGIC)
    numbers = []
    for _ in range(11):
        value, at = _number(raw, at)
        numbers.append(value)
    if numbers[:2] != [new_size, old_size]:
        raise PatchError("an HDiffPatch payload is made for files of other lengths")
    streams = list(zip(numbers[3::2], numbers[4::2], strict=True))
    if any(size > _MOST_PER_BYTE * (new_size + 4096) for size, _ in streams):
        raise PatchError("an HDiffPatch payload declares more than its file justifies")
    if at + sum(stored or size for size, stored in streams) != len(raw):
        raise PatchError("an HDiffPatch payload is truncated or extended")
    return _Preamble(numbers[2], streams, at)


def _streams(raw: bytes, preamble: _Preamble) -> list[bytes]:
    """Return the four streams, decompressed."""
    found, at = [], preamble.end
    for size, stored in preamble.streams:
        part = raw[at : at + (stored or size)]
        found.append(_unpacked(part, size) if stored else part)
        at += len(part)
    return found


def _unpacked(part: bytes, size: int) -> bytes:
    if part[0] > _LARGEST_PROPERTY:
        raise PatchError("an HDiffPatch payload needs too large a dictionary")
    # A dictionary as large as the output holds everything that the stream can refer to.
    dictionary = max(_SMALLEST_DICTIONARY, min(size, 1 << WINDOW_LOGS[1]))
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": dictionary}]
    try:
        decompressor = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        content = decompressor.decompress(part[1:], max_length=size + 1)
    except (lzma.LZMAError, EOFError) as error:
        raise PatchError("an HDiffPatch payload is damaged") from error
    if len(content) != size or not decompressor.eof or decompressor.unused_data:
        raise PatchError("an HDiffPatch payload has a stream of another length than declared")
    return content


def _covers(raw: bytes, count: int, old_size: int, new_size: int) -> list[_Cover]:
    """Return the covers, in the order of the new file and inside both files."""
    if count > len(raw):
        raise PatchError("an HDiffPatch payload declares more covers than it has")
    found = []
    at = new_end = old_end = 0
    for _ in range(count):
        step, after = _number(raw, at, tag_bits=1)
        source = old_end - step if raw[at] & 0x80 else old_end + step
        gap, at = _number(raw, after)
        length, at = _number(raw, at)
        to = new_end + gap
        new_end, old_end = to + length, source + length
        if source < 0 or old_end > old_size or new_end > new_size:
            raise PatchError("an HDiffPatch payload has a cover outside of its files")
        found.append((to, source, length))
    if at != len(raw):
        raise PatchError("an HDiffPatch payload has more covers than it declares")
    return found


def _differences(control: bytes, codes: bytes, size: int) -> bytearray:
    """Return what to add to each byte of the new file."""
    out = bytearray(size)
    at = taken = position = 0
    end, available = len(control), len(codes)
    while position < end:
        first = control[position]
        if first & 0x20:
            run, position = _number(control, position, tag_bits=2)
            run += 1
        else:
            run, position = (first & 0x1F) + 1, position + 1
        after = at + run
        if after > size:
            raise PatchError("an HDiffPatch payload adds to bytes outside of the new file")
        kind = first >> 6
        if kind == _BYTES:
            used = taken + run
            if used > available:
                raise PatchError("an HDiffPatch payload has too few codes")
            out[at:after] = codes[taken:used]
            taken = used
        elif kind == _REPEATED:
            if taken == available:
                raise PatchError("an HDiffPatch payload has too few codes")
            out[at:after] = codes[taken : taken + 1] * run
            taken += 1
        elif kind == _ONES:
            out[at:after] = b"\xff" * run
        at = after
    if at != size or taken != available:
        raise PatchError("an HDiffPatch payload adds to another number of bytes than it has")
    return out


def _add(new: memoryview, differences: bytearray) -> None:
    """Add byte by byte modulo 256, many bytes at a time as one large integer.

    The sum of the low seven bits of each byte cannot carry into the next byte; the high bit is
    added without a carry (Hacker's Delight, 2-18).
    """
    nothing = bytes(_CHUNK)
    for start in range(0, len(new), _CHUNK):
        part = differences[start : start + _CHUNK]
        size = len(part)
        if part == nothing[:size]:
            continue
        a = int.from_bytes(new[start : start + size], "little")
        b = int.from_bytes(part, "little")
        total = ((a & _LOW_BITS) + (b & _LOW_BITS)) ^ ((a ^ b) & _HIGH_BITS)
        new[start : start + size] = total.to_bytes(size, "little")


def _number(raw: bytes, at: int, tag_bits: int = 0) -> tuple[int, int]:
    """Return the packed number at an offset without its tag, and the offset behind it."""
    more = 0x80 >> tag_bits
    value = 0
    for position in range(at, min(at + _LONGEST_NUMBER, len(raw))):
        value = value << 7 | raw[position] & (more - 1)
        if not raw[position] & more:
            return value, position + 1
        more = 0x80
    raise PatchError("an HDiffPatch payload is damaged")
