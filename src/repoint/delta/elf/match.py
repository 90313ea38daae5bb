"""What of the new file is already in the old one: a list of copies between two images.

Three rounds, each with shorter grams over less ground: sampled long grams over everything, then
every gram of what is still uncovered on both sides, then short ones near where they are expected.
After each round copies grow towards each other (`grow`).
"""

from dataclasses import dataclass

import numpy as np

from repoint.delta.elf import grams
from repoint.delta.elf.arrays import I64, U64, Bool, Bytes, concat
from repoint.delta.elf.grow import grow
from repoint.delta.elf.moves import Copies


@dataclass(frozen=True)
class _Round:
    k: int
    """Bytes per gram."""
    skip: int
    """log2 of the sampling distance."""
    least: int
    """Bytes a copy must cover to be begun."""
    near: int
    """How far from its expected place (bytes) a copy may come from, if it is this short."""


_WHOLE = _Round(k=32, skip=3, least=32, near=1 << 62)
_LARGE = _Round(k=32, skip=4, least=32, near=1 << 62)
_LARGE_FILE = 1 << 24
"""Of larger files fewer grams are kept, to save memory."""
_GAPS = (
    _Round(k=16, skip=0, least=20, near=1 << 62),
    _Round(k=8, skip=0, least=11, near=1 << 14),
)
_GRAMS = 1 << 22
"""So many grams are always kept; of larger files at most one for every fourth byte."""
_AT_ONCE = 1 << 16
"""Grams looked up at a time; bounds memory, changes no result."""
_SLACK = 64
"""Anchors of one diagonal closer than this belong to one copy."""


def match(old: Bytes, new: Bytes) -> Copies:
    """Return copies, sorted by new position, without overlaps there."""
    copies = _first(old, new)
    for one in _GAPS:
        copies = fill(old, new, copies, one)
    return copies


def refine(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Better borders and gaps, for images that show more than those `copies` come from."""
    copies = grow(old, new, _shrunk(copies))
    for one in _GAPS:
        copies = fill(old, new, copies, one)
    return grow(old, new, prune(old, new, copies))


def prune(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Without copies that cost more than sending their bytes; see `_BYTE` and `_STEP`."""
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
"""Wrong bytes count up to this number: long runs of them are sent as new inside the copy."""
_BYTE = 0.5
"""What a byte of new data costs in a patch after compression, about."""
_STEP = (1, 64, 8192, 1 << 20)
"""A copy's place costs a byte more from each of these distances on."""


def _first(old: Bytes, new: Bytes) -> Copies:
    r = _LARGE if len(new) > _LARGE_FILE else _WHOLE
    whole_old, whole_new = np.array([len(old)]), np.array([len(new)])
    old_keys = grams.keys(old, r.k, whole_old * 0, whole_old, r.skip)
    new_keys = grams.keys(new, r.k, whole_new * 0, whole_new, r.skip)
    old_keys.sort()
    new_keys.sort()
    source, at = grams.unique_pairs(old_keys, new_keys)
    real = grams.same(old, new, source, at, r.k)
    source, at = source[real], at[real]
    order = np.argsort(at)
    source, at = _steady(source[order], at[order])
    found = grow(old, new, _runs(source, at, r))
    return _repeated(old, new, old_keys, new_keys, found, r)


def _repeated(
    old: Bytes, new: Bytes, old_keys: U64, new_keys: U64, copies: Copies, r: _Round
) -> Copies:
    """Add what occurs more than once, each time from the place nearest to what surrounds it."""
    source, at = _sources(old_keys, new_keys, copies, r, uncovered=True)
    return _add(old, new, copies, source, at, r)


def fill(old: Bytes, new: Bytes, copies: Copies, r: _Round) -> Copies:
    """Look for grams of the uncovered parts of `new` in the uncovered parts of `old`."""
    new_start, new_end = _uncovered(copies.new, copies.length, len(new))
    old_start, old_end = _uncovered(copies.old, copies.length, len(old))
    old_start, old_end = _widened(old_start, old_end, 2 * r.k, len(old))
    skip = max(_skip(old_start, old_end, len(old)), _skip(new_start, new_end, len(new)), r.skip)
    new_keys = grams.keys(new, r.k, new_start, new_end, skip)
    if not len(new_keys):
        return copies
    old_keys = grams.keys(old, r.k, old_start, old_end, skip)
    old_keys.sort()
    # Sorted questions are answered some times faster: they walk through memory in one direction.
    new_keys.sort()
    source, at = _sources(old_keys, new_keys, copies, r, uncovered=False)
    return _add(old, new, copies, source, at, r)


def _skip(start: I64, end: I64, size: int) -> int:
    """How thinly to sample grams of these ranges, so that few are in memory at a time."""
    grams_at_most = max(_GRAMS, size >> 2)
    return (max(0, int((end - start).sum()) - 1) // grams_at_most).bit_length()


def _sources(
    old_keys: U64, new_keys: U64, copies: Copies, r: _Round, uncovered: bool
) -> tuple[I64, I64]:
    """(old position, new position) of the new grams that the old file has near enough.

    `old_keys` must be sorted; with `uncovered` only grams that begin outside of all copies count.
    """
    sources, places = [], []
    for first in range(0, len(new_keys), _AT_ONCE):
        keys = new_keys[first : first + _AT_ONCE]
        at = (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)
        inside, expected = _expected(copies, at)
        source, distance = grams.nearest(old_keys, keys, expected)
        found = (source >= 0) & (distance <= r.near)
        if uncovered:
            found &= ~inside
        sources.append(source[found])
        places.append(at[found])
    return concat(sources, np.int64), concat(places, np.int64)


def _add(old: Bytes, new: Bytes, copies: Copies, source: I64, at: I64, r: _Round) -> Copies:
    real = grams.same(old, new, source, at, r.k)
    order = np.argsort(at[real], kind="stable")
    more = _runs(source[real][order], at[real][order], r)
    if not len(more):
        return copies
    return grow(old, new, _merged(copies, more))


def _steady(source: I64, at: I64) -> tuple[I64, I64]:
    """Without single anchors that interrupt a diagonal which goes on behind them."""
    diagonal = source - at
    lonely = np.zeros(len(at), np.bool_)
    if len(at) > 2:
        before, own, after = diagonal[:-2], diagonal[1:-1], diagonal[2:]
        lonely[1:-1] = (before == after) & (own != before) & (at[2:] - at[:-2] < 4096)
    return source[~lonely], at[~lonely]


def _runs(source: I64, at: I64, r: _Round) -> Copies:
    """Neighbouring anchors of one diagonal as copies without overlaps, short ones left out."""
    if not len(at):
        return Copies(at, source, at)
    diagonal = source - at
    turn = (np.diff(diagonal) != 0) | (np.diff(at) > r.k + _SLACK)
    first = np.concatenate([[0], np.flatnonzero(turn) + 1])
    last = np.append(first[1:], len(at)) - 1
    start, end = at[first], at[last] + r.k
    long = end - start >= r.least
    start, end, diagonal = start[long], end[long], diagonal[first][long]
    start = np.maximum(start, np.concatenate([start[:1], np.maximum.accumulate(end)[:-1]]))
    keep = end - start >= min(r.k, 8)
    start, end, diagonal = start[keep], end[keep], diagonal[keep]
    return Copies(start, start + diagonal, end - start)


def _merged(copies: Copies, more: Copies) -> Copies:
    """Both; where they overlap `copies` win."""
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
    """Whether each new position is covered, and where in the old file it would be by order."""
    if not len(copies):
        return np.zeros(len(at), np.bool_), at
    index = np.maximum(np.searchsorted(copies.new, at, "right") - 1, 0)
    inside = (at >= copies.new[index]) & (at < (copies.new + copies.length)[index])
    return inside, at + (copies.old - copies.new)[index]


def _uncovered(start: I64, length: I64, size: int) -> tuple[I64, I64]:
    """Return the parts of [0, size) that no range touches."""
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
    """Return copies without their ends, so that growing can place the borders anew."""
    by = np.minimum(24, copies.length // 4)
    return Copies(copies.new + by, copies.old + by, copies.length - 2 * by)
