"""zlib's search for matches: the choice between literals and matches, for levels 1 to 9.

DEFLATE defines how matches are written, not how they are found. A compressed member can be rebuilt
only by finding exactly the matches that its compressor found. That was nearly always zlib, whose
search (chains of equal hashes, lazy evaluation) has given the same results since version 1.2.5.
The names of the parameters are those of its documentation (`deflateTune`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

_SHORTEST, _LONGEST = 3, 258
_WINDOW = 1 << 15
_AHEAD = _LONGEST + _SHORTEST + 1
"""With fewer bytes than this ahead, zlib reads more before it continues."""
_FARTHEST = _WINDOW - _AHEAD
_TOO_FAR = 4096
"""A match of three bytes from farther away costs more than three literals."""
_NEVER = -1


class _Tuning(NamedTuple):
    good: int
    lazy: int
    nice: int
    chain: int


_LEVELS = (
    _Tuning(4, 4, 8, 4),
    _Tuning(4, 5, 16, 8),
    _Tuning(4, 6, 32, 32),
    _Tuning(4, 4, 16, 16),
    _Tuning(8, 16, 32, 32),
    _Tuning(8, 16, 128, 128),
    _Tuning(8, 32, 128, 256),
    _Tuning(32, 128, 258, 1024),
    _Tuning(32, 258, 258, 4096),
)
_FIRST_LAZY = 4


class Block(NamedTuple):
    """Symbols that share their codes.

    Attributes:
        lengths: Per symbol the length of its match, or zero for a literal.
        values: Per symbol the distance of its match, or the literal.
        start, end: The range of the content that they encode.
        storable: True if zlib still holds those bytes, to store them if that is no longer.
    """

    lengths: list[int]
    values: list[int]
    start: int
    end: int
    storable: bool


def blocks(content: bytes, level: int, memory: int) -> Iterator[Block]:
    """Yield zlib's blocks of symbols for a content; the last one may be empty.

    Args:
        content: The bytes to compress.
        level: From 1 to 9.
        memory: zlib's `memLevel`, from 1 to 9.
    """
    search = _Search(content, _LEVELS[level - 1], memory)
    symbols = _lazy(search) if level >= _FIRST_LAZY else _greedy(search)
    most = (1 << (memory + 6)) - 1
    lengths: list[int] = []
    values: list[int] = []
    start = 0
    for length, value, at in symbols:
        lengths.append(length)
        values.append(value)
        if len(lengths) == most:
            yield Block(lengths, values, start, at, start >= search.base)
            lengths, values, start = [], [], at
    yield Block(lengths, values, start, len(content), start >= search.base)


class _Search:
    """The chains of positions with equal hashes, and the search along one of them.

    zlib holds two windows of 32 KiB and moves the upper one down when it reaches its end. The first
    byte that it then holds can never be the start of a match. `base` is the offset of that byte.
    """

    def __init__(self, content: bytes, tuning: _Tuning, memory: int) -> None:
        self.content = content
        self.tuning = tuning
        self.base = 0
        self._read = min(len(content), 2 * _WINDOW)
        self._hashes = _hashes(content, memory + 7)
        self._heads = [_NEVER] * (1 << (memory + 7))
        self._chain = [_NEVER] * _WINDOW
        self.found_at = 0

    def advance(self, at: int) -> None:
        """Read more if zlib would do so before this position."""
        if self._read - at >= _AHEAD:
            return
        if at - self.base >= _WINDOW + _FARTHEST:
            self.base += _WINDOW
        self._read = min(len(self.content), self.base + 2 * _WINDOW)

    def insert(self, at: int) -> int:
        """Add a position to its chain; return the one before it, or `_NEVER` if it is unusable."""
        if at >= len(self._hashes):
            return _NEVER
        key = self._hashes[at]
        head = self._heads[key]
        self._chain[at & (_WINDOW - 1)] = head
        self._heads[key] = at
        return head if head > self.base and at - head <= _FARTHEST else _NEVER

    def longest(self, at: int, candidate: int, best: int) -> int:
        """Return the length of the longest match longer than `best`; `best` if there is none.

        `found_at` is set to the position of the match.
        """
        content, chain = self.content, self._chain
        good, _, nice, steps = self.tuning
        if best >= good:
            steps >>= 2
        limit = max(self.base, at - _FARTHEST)
        ahead = len(content) - at
        nice = min(nice, ahead)
        end = min(_LONGEST, ahead)
        whole = content[at : at + end]
        if best >= end:
            return min(best, ahead)
        last = content[at + best]
        while True:
            # Most candidates differ where a longer match would end.
            if content[candidate + best] == last and content.startswith(
                whole[: best + 1], candidate
            ):
                self.found_at = candidate
                best = _common(content, candidate, whole, best + 1)
                if best >= nice or best >= end:
                    break
                last = content[at + best]
            candidate = chain[candidate & (_WINDOW - 1)]
            steps -= 1
            if candidate <= limit or not steps:
                break
        return best


def _lazy(search: _Search) -> Iterator[tuple[int, int, int]]:
    """Yield (length, value, end) of symbols; a match is deferred in case the next is better."""
    content, lazy = search.content, search.tuning.lazy
    at, size = 0, len(search.content)
    length = _SHORTEST - 1
    found = 0
    deferred = False
    while True:
        search.advance(at)
        if at >= size:
            break
        head = search.insert(at)
        before, before_at = length, found
        length = _SHORTEST - 1
        if head != _NEVER and before < lazy:
            search.found_at = found
            length = search.longest(at, head, max(before, _SHORTEST - 1))
            found = search.found_at
            if length == _SHORTEST and at - found > _TOO_FAR:
                length = _SHORTEST - 1
        if before >= _SHORTEST and length <= before:
            end = at - 1 + before
            for inside in range(at + 1, end):
                search.insert(inside)
            yield before, at - 1 - before_at, end
            at, deferred, length = end, False, _SHORTEST - 1
            continue
        if deferred:
            yield 0, content[at - 1], at
        deferred = True
        at += 1
    if deferred:
        yield 0, content[size - 1], size


def _greedy(search: _Search) -> Iterator[tuple[int, int, int]]:
    """Yield (length, value, end) of symbols; every match is taken at once."""
    content, longest_inserted = search.content, search.tuning.lazy
    at, size = 0, len(search.content)
    while True:
        search.advance(at)
        if at >= size:
            return
        head = search.insert(at)
        length = search.longest(at, head, _SHORTEST - 1) if head != _NEVER else 0
        if length < _SHORTEST:
            yield 0, content[at], at + 1
            at += 1
            continue
        end = at + length
        if length <= longest_inserted and size - end >= _SHORTEST:
            for inside in range(at + 1, end):
                search.insert(inside)
        yield length, at - search.found_at, end
        at = end


def _common(content: bytes, at: int, whole: bytes, known: int) -> int:
    """Return how many bytes at a position equal those of `whole`; the first `known` ones do."""
    if content.startswith(whole, at):
        return len(whole)
    low, high = known, len(whole)
    while high - low > 1:
        middle = (low + high) // 2
        if content.startswith(whole[low:middle], at + low):
            low = middle
        else:
            high = middle
    return low


def _hashes(content: bytes, bits: int) -> list[int]:
    """Return zlib's hash of the three bytes at each position."""
    shift = (bits + _SHORTEST - 1) // _SHORTEST
    data = np.frombuffer(content, np.uint8).astype(np.uint32)
    if len(data) < _SHORTEST:
        return []
    joined = data[:-2] << np.uint32(2 * shift) ^ data[1:-1] << np.uint32(shift) ^ data[2:]
    hashes: list[int] = (joined & np.uint32((1 << bits) - 1)).tolist()
    return hashes
