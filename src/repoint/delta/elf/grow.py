"""Growing anchors into copies: where exactly one copy ends and the next one begins.

Between two neighbouring copies lies a gap of the new file. The left copy may grow into it from
the left, the right one from the right; a byte that agrees counts +1, one that does not -1, and
the two borders are put where the sum is largest. What lies between them is new.
"""

import numpy as np

from repoint.delta.elf.arrays import I64, Bool, Bytes, ragged
from repoint.delta.elf.moves import Copies

_REACH = 1 << 15
"""A copy grows at most this far beyond its last anchor."""
_BATCH = 1 << 16
_NEW_COPY = 6
"""What a copy costs in a patch, in bytes: so much must joining two lose to stay two."""


def grow(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Return the copies grown into the gaps between them, joined where they meet."""
    n = len(copies)
    if not n:
        return copies
    start, end = copies.new.copy(), copies.new + copies.length
    diagonal = copies.old - copies.new
    gap_start = np.concatenate([[0], end])
    gap_end = np.concatenate([start, [len(new)]])
    left = np.concatenate([[0], diagonal])
    right = np.concatenate([diagonal, [0]])
    has_left, has_right = np.ones(n + 1, np.bool_), np.ones(n + 1, np.bool_)
    has_left[0], has_right[-1] = False, False
    grown_left, grown_right = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
    joined = np.zeros(n + 1, np.bool_)
    size = gap_end - gap_start
    wide = np.flatnonzero(size > 2 * _REACH)
    for side in (0, 1):
        a = gap_start[wide] if side == 0 else gap_end[wide] - _REACH
        use_left = has_left[wide] & (side == 0)
        use_right = has_right[wide] & (side == 1)
        got = _batches(old, new, a, a + _REACH, left[wide], right[wide], use_left, use_right)
        grown_left[wide] += got[0]
        grown_right[wide] += got[1]
    near = np.flatnonzero((size > 0) & (size <= 2 * _REACH))
    got = _batches(
        old,
        new,
        gap_start[near],
        gap_end[near],
        left[near],
        right[near],
        has_left[near],
        has_right[near],
    )
    grown_left[near], grown_right[near], joined[near] = got
    joined |= has_left & has_right & (left == right) & (grown_left + grown_right >= size)
    return _assemble(start - grown_right[:-1], end + grown_left[1:], diagonal, joined)


def _assemble(start: I64, end: I64, diagonal: I64, joined: Bool) -> Copies:
    first = np.flatnonzero(~joined[:-1])
    last = np.append(first[1:], len(start)) - 1
    begin, length = start[first], end[last] - start[first]
    keep = length > 0
    begin, length = begin[keep], length[keep]
    return Copies(begin, begin + diagonal[first][keep], length)


def _batches(
    old: Bytes, new: Bytes, a: I64, b: I64, left: I64, right: I64, use_left: Bool, use_right: Bool
) -> tuple[I64, I64, Bool]:
    n = len(a)
    out = np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_)
    total = np.cumsum(b - a)
    i = 0
    while i < n:
        done = int(total[i - 1]) if i else 0
        j = max(i + 1, int(np.searchsorted(total, done + _BATCH, "right")))
        part = slice(i, j)
        got = _borders(
            old, new, a[part], b[part], left[part], right[part], use_left[part], use_right[part]
        )
        for column, values in zip(out, got, strict=True):
            column[part] = values
        i = j
    return out


def _borders(
    old: Bytes, new: Bytes, a: I64, b: I64, left: I64, right: I64, use_left: Bool, use_right: Bool
) -> tuple[I64, I64, Bool]:
    """(bytes the left copy grows, bytes the right copy grows, joined) for each gap [a, b)."""
    gap, at = ragged(a, b + 1)
    first = np.concatenate([[0], np.cumsum(b - a + 1)[:-1]])
    ended = at == b[gap]
    score_left = _score(old, new, at, left[gap], use_left[gap])
    score_right = _score(old, new, at, right[gap], use_right[gap])
    score_left[ended] = 0
    score_right[ended] = 0
    prefix = np.cumsum(score_left) - score_left
    prefix -= prefix[first][gap]
    running = np.cumsum(score_right) - score_right
    last = np.append(first[1:], len(at)) - 1
    suffix = running[last][gap] - running
    # the best suffix at or after each position: a running maximum from the right, per gap
    lift = (len(a) - gap) * (4 * (int((b - a).max()) + 2) * _WORSE)
    best = np.maximum.accumulate((suffix + lift)[::-1])[::-1] - lift
    total = prefix + best
    top = np.maximum.reduceat(total, first)
    hit = np.flatnonzero(total == top[gap])
    x = hit[np.searchsorted(hit, first)]
    after = np.flatnonzero((suffix == best[x][gap]) & (np.arange(len(at)) >= x[gap]))
    y = after[np.searchsorted(after, x)]
    grown_left, grown_right = x - first, last - y
    whole = prefix[last]
    joined = use_left & use_right & (left == right) & (whole >= top - _NEW_COPY - (y - x))
    grown_left = np.where(joined, b - a, grown_left)
    grown_right = np.where(joined, 0, grown_right)
    return grown_left, grown_right, joined


_WORSE = 2


def _score(old: Bytes, new: Bytes, at: I64, diagonal: I64, use: Bool) -> I64:
    source = at + diagonal
    inside = (source >= 0) & (source < len(old)) & (at < len(new))
    equal = np.zeros(len(at), np.bool_)
    ok = np.flatnonzero(inside)
    equal[ok] = old[source[ok]] == new[at[ok]]
    score = np.where(equal, 1, -1)
    score[~inside] = -_WORSE
    score[~use] = -1
    return score
