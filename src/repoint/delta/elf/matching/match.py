"""The parts of the new file that the old one has as well: a list of copies between two images.

There are three passes, each with shorter grams over less data: sampled long grams over everything,
then every gram of what is uncovered on both sides, then short ones near their expected position.
After each pass, copies grow towards each other (`grow`).
"""

from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64, Bool, Bytes, concat
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.matching import grams
from repoint.delta.elf.matching.grow import grow


@dataclass(frozen=True)
class _Pass:
    k: int
    """Bytes per gram."""
    skip: int
    """log2 of the sampling distance."""
    least: int
    """The smallest copy to start, in bytes."""
    near: int
    """The largest distance in bytes between a gram and its expected position."""


_WHOLE = _Pass(k=32, skip=3, least=32, near=1 << 62)
_LARGE = _Pass(k=32, skip=4, least=32, near=1 << 62)
_LARGE_FILE = 1 << 24
"""Size in bytes above which fewer grams are kept, to save memory."""
_GAPS = (
    _Pass(k=16, skip=0, least=20, near=1 << 62),
    _Pass(k=8, skip=0, least=11, near=1 << 14),
)
_GRAMS = 1 << 22
"""This many grams are always kept; of larger files at most one for every fourth byte."""
_AT_ONCE = 1 << 16
"""Grams looked up at a time: bounds memory and changes no result."""
_SLACK = 64
"""Anchors of one diagonal that are closer than this, in bytes, belong to one copy."""


def match(old: Bytes, new: Bytes) -> Copies:
    """Return copies, sorted by new position and without overlaps there."""
    copies = _first(old, new)
    for one in _GAPS:
        copies = fill(old, new, copies, one)
    return copies


def refine(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Return copies with better borders, from images that are more alike than the first ones."""
    copies = grow(old, new, _shrunk(copies))
    for one in _GAPS:
        copies = fill(old, new, copies, one)
    return grow(old, new, prune(old, new, copies))


def prune(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Return the copies that cost less than sending their bytes; see `_BYTE` and `_STEP`."""
    good = np.zeros(len(copies), np.int64)
    rows = zip(copies.new.tolist(), copies.old.tolist(), copies.length.tolist(), strict=True)
    for i, (to, source, n) in enumerate(rows):
        equal = np.count_nonzero(new[to : to + n] == old[source : source + n])
        good[i] = equal - min(n - equal, _WORST)
    ended = np.concatenate([[0], (copies.old + copies.length)[:-1]])
    step = np.abs(copies.old - ended)
    cost = 2.0 + sum((step >= limit) * 1.0 for limit in _STEP)
    keep = good * _BYTE > cost
    return Copies(copies.new[keep], copies.old[keep], copies.length[keep])


_WORST = 16
"""More wrong bytes than this count no more: long runs of them are sent anew inside the copy."""
_BYTE = 0.5
"""Approximate cost of a byte of new data in a patch, after compression."""
_STEP = (1, 64, 8192, 1 << 20)
"""Distances from the end of the copy before, in bytes, from which on a copy costs a byte more."""


def _first(old: Bytes, new: Bytes) -> Copies:
    this = _LARGE if len(new) > _LARGE_FILE else _WHOLE
    whole_old, whole_new = np.array([len(old)]), np.array([len(new)])
    old_keys = grams.keys(old, this.k, whole_old * 0, whole_old, this.skip)
    new_keys = grams.keys(new, this.k, whole_new * 0, whole_new, this.skip)
    old_keys.sort()
    new_keys.sort()
    source, at = grams.unique_pairs(old_keys, new_keys)
    real = grams.same(old, new, source, at, this.k)
    source, at = source[real], at[real]
    order = np.argsort(at)
    source, at = _steady(source[order], at[order])
    found = grow(old, new, _runs(source, at, this))
    return _repeated(old, new, old_keys, new_keys, found, this)


def _repeated(
    old: Bytes, new: Bytes, old_keys: U64, new_keys: U64, copies: Copies, this: _Pass
) -> Copies:
    """Add what occurs more than once, from the position nearest to the surrounding copies."""
    source, at = _sources(old_keys, new_keys, copies, this, uncovered=True)
    return _add(old, new, copies, source, at, this)


def fill(old: Bytes, new: Bytes, copies: Copies, this: _Pass) -> Copies:
    """Add copies from the uncovered parts of `old` to the uncovered parts of `new`."""
    new_start, new_end = _uncovered(copies.new, copies.length, len(new))
    old_start, old_end = _uncovered(copies.old, copies.length, len(old))
    old_start, old_end = _widened(old_start, old_end, 2 * this.k, len(old))
    skip = max(_skip(old_start, old_end, len(old)), _skip(new_start, new_end, len(new)), this.skip)
    new_keys = grams.keys(new, this.k, new_start, new_end, skip)
    if not len(new_keys):
        return copies
    old_keys = grams.keys(old, this.k, old_start, old_end, skip)
    old_keys.sort()
    # Looking up sorted keys is several times faster: it walks through memory in one direction.
    new_keys.sort()
    source, at = _sources(old_keys, new_keys, copies, this, uncovered=False)
    return _add(old, new, copies, source, at, this)


def _skip(start: I64, end: I64, size: int) -> int:
    """Return the log2 of the sampling distance that bounds the grams of these ranges in memory."""
    grams_at_most = max(_GRAMS, size >> 2)
    return (max(0, int((end - start).sum()) - 1) // grams_at_most).bit_length()


def _sources(
    old_keys: U64, new_keys: U64, copies: Copies, this: _Pass, uncovered: bool
) -> tuple[I64, I64]:
    """Return (old position, new position) of the new grams that the old file has near enough.

    `old_keys` must be sorted. With `uncovered`, only grams that begin outside of all copies count.
    """
    sources, positions = [], []
    for first in range(0, len(new_keys), _AT_ONCE):
        keys = new_keys[first : first + _AT_ONCE]
        at = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        inside, expected = _expected(copies, at)
        source, distance = grams.nearest(old_keys, keys, expected)
        found = (source >= 0) & (distance <= this.near)
        if uncovered:
            found &= ~inside
        sources.append(source[found])
        positions.append(at[found])
    return concat(sources, np.int64), concat(positions, np.int64)


def _add(old: Bytes, new: Bytes, copies: Copies, source: I64, at: I64, this: _Pass) -> Copies:
    real = grams.same(old, new, source, at, this.k)
    order = np.argsort(at[real], kind="stable")
    more = _runs(source[real][order], at[real][order], this)
    if not len(more):
        return copies
    return grow(old, new, _merged(copies, more))


def _steady(source: I64, at: I64) -> tuple[I64, I64]:
    """Return the anchors without single ones that interrupt a diagonal."""
    diagonal = source - at
    lonely = np.zeros(len(at), np.bool_)
    if len(at) > 2:
        before, own, after = diagonal[:-2], diagonal[1:-1], diagonal[2:]
        lonely[1:-1] = (before == after) & (own != before) & (at[2:] - at[:-2] < 4096)
    return source[~lonely], at[~lonely]


def _runs(source: I64, at: I64, this: _Pass) -> Copies:
    """Return neighbouring anchors of one diagonal as copies without overlaps; omit short ones."""
    if not len(at):
        return Copies(at, source, at)
    diagonal = source - at
    turn = (np.diff(diagonal) != 0) | (np.diff(at) > this.k + _SLACK)
    first = np.concatenate([[0], np.flatnonzero(turn) + 1])
    last = np.append(first[1:], len(at)) - 1
    start, end = at[first], at[last] + this.k
    long = end - start >= this.least
    start, end, diagonal = start[long], end[long], diagonal[first][long]
    start = np.maximum(start, np.concatenate([start[:1], np.maximum.accumulate(end)[:-1]]))
    keep = end - start >= min(this.k, 8)
    start, end, diagonal = start[keep], end[keep], diagonal[keep]
    return Copies(start, start + diagonal, end - start)


def _merged(copies: Copies, more: Copies) -> Copies:
    """Return both; where they overlap, `copies` win."""
    if not len(copies):
        return more
    end = np.concatenate([[0], copies.new + copies.length])
    following = np.append(copies.new, np.int64(1 << 62))
    slot = np.searchsorted(copies.new, more.new, "right")
    start = np.maximum(more.new, end[slot])
    length = np.minimum(more.new + more.length, following[slot]) - start
    keep = length > 0
    source = (more.old + start - more.new)[keep]
    new = np.concatenate([copies.new, start[keep]])
    order = np.argsort(new, kind="stable")
    all_old = np.concatenate([copies.old, source])[order]
    return Copies(new[order], all_old, np.concatenate([copies.length, length[keep]])[order])


def _expected(copies: Copies, at: I64) -> tuple[Bool, I64]:
    """Return whether each new position is covered, and its expected old position."""
    if not len(copies):
        return np.zeros(len(at), np.bool_), at
    index = np.maximum(np.searchsorted(copies.new, at, "right") - 1, 0)
    inside = (at >= copies.new[index]) & (at < (copies.new + copies.length)[index])
    return inside, at + (copies.old - copies.new)[index]


def _uncovered(start: I64, length: I64, size: int) -> tuple[I64, I64]:
    """Return the parts of [0, size) that no range covers."""
    order = np.argsort(start, kind="stable")
    end = np.maximum.accumulate((start + length)[order]) if len(start) else start
    first = np.concatenate([[0], end])
    last = np.concatenate([start[order], [size]])
    keep = last > first
    return first[keep], last[keep]


def _widened(start: I64, end: I64, by: int, size: int) -> tuple[I64, I64]:
    """Return the ranges grown by `by` on both sides, overlapping ones joined."""
    if not len(start):
        return start, end
    start, end = np.maximum(start - by, 0), np.minimum(end + by, size)
    top = np.maximum.accumulate(end)
    first = np.concatenate([[True], start[1:] > top[:-1]])
    last = np.append(np.flatnonzero(first)[1:], len(start)) - 1
    return start[first], top[last]


def _shrunk(copies: Copies) -> Copies:
    """Return copies without their ends, so that `grow` can find better borders."""
    by = np.minimum(24, copies.length // 4)
    return Copies(copies.new + by, copies.old + by, copies.length - 2 * by)
