"""Growing copies into the gaps between them: where exactly one copy ends and the next begins.

Between two neighbouring copies lies a gap of the new file. The left copy may grow into it from
the left, the right one from the right. A byte that agrees counts +1, one that does not -1, and the
two borders are put where the sum is largest. What remains between them is new.
"""

from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bool, Bytes, ragged
from repoint.delta.elf.common.copies import Copies

_REACH = 1 << 15
"""A copy grows at most this far beyond its last anchor, in bytes."""
_BATCH = 1 << 16
_NEW_COPY = 6
"""Approximate cost of a copy in a patch, in bytes. Two copies of one diagonal stay apart only if
joining them would cost more."""
_WORSE = 2
"""What a byte outside of the old file counts, as a penalty."""


@dataclass(frozen=True)
class _Gaps:
    """Gaps [start, end) of the new file as columns.

    `left` and `right` are the diagonals (old position - new position) of the copies on both sides;
    `use_left` and `use_right` say whether the copy on that side may grow.
    """

    start: I64
    end: I64
    left: I64
    right: I64
    use_left: Bool
    use_right: Bool

    def __len__(self) -> int:
        return len(self.start)

    def take(self, index: I64 | slice) -> "_Gaps":
        return _Gaps(
            self.start[index],
            self.end[index],
            self.left[index],
            self.right[index],
            self.use_left[index],
            self.use_right[index],
        )


@dataclass(frozen=True)
class _Growth:
    """Per gap: by how many bytes either copy grows, and whether the two become one."""

    left: I64
    right: I64
    joined: Bool


def grow(old: Bytes, new: Bytes, copies: Copies) -> Copies:
    """Return the copies grown into the gaps between them, and joined where they meet."""
    if not len(copies):
        return copies
    gaps = _gaps(copies, len(new))
    size = gaps.end - gaps.start
    count = len(gaps)
    left, right = np.zeros(count, np.int64), np.zeros(count, np.int64)
    joined = np.zeros(count, np.bool_)
    wide = np.flatnonzero(size > 2 * _REACH)
    some, none = np.ones(len(wide), np.bool_), np.zeros(len(wide), np.bool_)
    for on_left in (True, False):
        gap = gaps.take(wide)
        start = gap.start if on_left else gap.end - _REACH
        use_left = gap.use_left & (some if on_left else none)
        use_right = gap.use_right & (none if on_left else some)
        side = _Gaps(start, start + _REACH, gap.left, gap.right, use_left, use_right)
        growth = _in_batches(old, new, side)
        left[wide] += growth.left
        right[wide] += growth.right
    narrow = np.flatnonzero((size > 0) & (size <= 2 * _REACH))
    growth = _in_batches(old, new, gaps.take(narrow))
    left[narrow], right[narrow], joined[narrow] = growth.left, growth.right, growth.joined
    joined |= gaps.use_left & gaps.use_right & (gaps.left == gaps.right) & (left + right >= size)
    return _assemble(copies, _Growth(left, right, joined))


def _gaps(copies: Copies, new_size: int) -> _Gaps:
    """Return the gaps before, between and after the copies, also those of no length."""
    diagonal = copies.old - copies.new
    use_left, use_right = (np.ones(len(copies) + 1, np.bool_) for _ in range(2))
    use_left[0], use_right[-1] = False, False
    return _Gaps(
        start=np.concatenate([[0], copies.new + copies.length]),
        end=np.concatenate([copies.new, [new_size]]),
        left=np.concatenate([[0], diagonal]),
        right=np.concatenate([diagonal, [0]]),
        use_left=use_left,
        use_right=use_right,
    )


def _assemble(copies: Copies, growth: _Growth) -> Copies:
    start = copies.new - growth.right[:-1]
    end = copies.new + copies.length + growth.left[1:]
    diagonal = copies.old - copies.new
    first = np.flatnonzero(~growth.joined[:-1])
    last = np.append(first[1:], len(start)) - 1
    begin, length = start[first], end[last] - start[first]
    keep = length > 0
    begin, length = begin[keep], length[keep]
    return Copies(begin, begin + diagonal[first][keep], length)


def _in_batches(old: Bytes, new: Bytes, gaps: _Gaps) -> _Growth:
    """Return the growth in all gaps, computed for about `_BATCH` bytes at a time."""
    n = len(gaps)
    out = _Growth(np.zeros(n, np.int64), np.zeros(n, np.int64), np.zeros(n, np.bool_))
    total = np.cumsum(gaps.end - gaps.start)
    i = 0
    while i < n:
        done = int(total[i - 1]) if i else 0
        j = max(i + 1, int(np.searchsorted(total, done + _BATCH, "right")))
        growth = _borders(old, new, gaps.take(slice(i, j)))
        out.left[i:j], out.right[i:j] = growth.left, growth.right
        out.joined[i:j] = growth.joined
        i = j
    return out


def _borders(old: Bytes, new: Bytes, gaps: _Gaps) -> _Growth:
    """Return the growth with the largest score in each gap."""
    a, b = gaps.start, gaps.end
    gap, at = ragged(a, b + 1)
    first = np.concatenate([[0], np.cumsum(b - a + 1)[:-1]])
    ended = at == b[gap]
    score_left = _score(old, new, at, gaps.left[gap], gaps.use_left[gap])
    score_right = _score(old, new, at, gaps.right[gap], gaps.use_right[gap])
    score_left[ended] = 0
    score_right[ended] = 0
    prefix = np.cumsum(score_left) - score_left
    prefix -= prefix[first][gap]
    running = np.cumsum(score_right) - score_right
    last = np.append(first[1:], len(at)) - 1
    suffix = running[last][gap] - running
    # The best suffix at or after each position: a running maximum from the right, per gap.
    lift = (len(a) - gap) * (4 * (int((b - a).max()) + 2) * _WORSE)
    best = np.maximum.accumulate((suffix + lift)[::-1])[::-1] - lift
    total = prefix + best
    top = np.maximum.reduceat(total, first)
    hit = np.flatnonzero(total == top[gap])
    x = hit[np.searchsorted(hit, first)]
    after = np.flatnonzero((suffix == best[x][gap]) & (np.arange(len(at)) >= x[gap]))
    y = after[np.searchsorted(after, x)]
    both = gaps.use_left & gaps.use_right & (gaps.left == gaps.right)
    joined = both & (prefix[last] >= top - _NEW_COPY - (y - x))
    left = np.where(joined, b - a, x - first)
    return _Growth(left, np.where(joined, 0, last - y), joined)


def _score(old: Bytes, new: Bytes, at: I64, diagonal: I64, use: Bool) -> I64:
    source = at + diagonal
    inside = (source >= 0) & (source < len(old)) & (at < len(new))
    equal = np.zeros(len(at), np.bool_)
    valid = np.flatnonzero(inside)
    equal[valid] = old[source[valid]] == new[at[valid]]
    score = np.where(equal, 1, -1)
    score[~inside] = -_WORSE
    score[~use] = -1
    return score
