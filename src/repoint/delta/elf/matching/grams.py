"""Anchors: positions in two images with the same k bytes, found by sorting hashes.

The time is near linear for any input: one sort and one merge of sampled hashes. Of many equal
grams, only the one nearest to the expected position is taken.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64, Bool, Bytes, words
from repoint.delta.elf.matching.image import mix

_LOW32 = np.uint64(0xFFFFFFFF)
_CHUNK = 1 << 16
_RUN = 64


def _hashes(image: Bytes, k: int, start: int, stop: int) -> U64:
    """Return the hash of the k bytes at each position in [start, stop); k is at least 8."""
    eight = words(image[start : stop + k - 1], "<u8")
    count = stop - start
    total = mix(eight[:count].astype(np.uint64))
    for j in range(8, k, 8):
        at = min(j, k - 8)
        total = mix(total ^ eight[at : at + count])
    return total


def keys(image: Bytes, k: int, starts: I64, ends: I64, skip: int) -> U64:
    """Return (hash << 32 | position) of the k-grams in the given ranges, unsorted.

    Only grams with `skip` zero bits in their hash are kept: one in 2**skip, the same ones in both
    images.
    """
    most = int(np.maximum(ends - starts - k + 1, 0).sum())
    # One array that grows in place: joining parts would take twice the memory.
    out = np.empty((most >> skip) + (most >> skip + 3) + 1, np.uint64)
    filled = 0
    for a, b in zip(starts.tolist(), ends.tolist(), strict=True):
        for start in range(a, b - k + 1, _CHUNK):
            stop = min(start + _CHUNK, b - k + 1)
            value = _hashes(image, k, start, stop)
            sampled = value & np.uint64((1 << skip) - 1) == 0
            keep = np.flatnonzero(sampled & _informative(value, start))
            end = filled + len(keep)
            if end > len(out):
                out.resize(2 * end, refcheck=False)
            out[filled:end] = value[keep] & ~_LOW32
            out[filled:end] |= (keep + start).astype(np.uint64)
            filled = end
    out.resize(filled, refcheck=False)
    return out


def _informative(value: U64, start: int) -> Bool:
    """Return which grams to keep: in a run of equal ones the first, and one in 64 of the others.

    A run of equal bytes is that many equal grams, which sampling by hash does not thin out.
    """
    out = np.ones(len(value), np.bool_)
    out[1:] = value[1:] != value[:-1]
    out[-start % _RUN :: _RUN] = True
    return out


def unique_pairs(old: U64, new: U64) -> tuple[I64, I64]:
    """Return (old position, new position) of grams that occur once in each; keys are sorted."""
    one, two = _once(old), _once(new)
    left, right = one >> np.uint64(32), two >> np.uint64(32)
    at = np.searchsorted(left, right)
    at[at == len(left)] = 0
    same = left[at] == right if len(left) else np.zeros(len(right), np.bool_)
    return (one[at[same]] & _LOW32).astype(np.int64), (two[same] & _LOW32).astype(np.int64)


def _once(sorted_keys: U64) -> U64:
    alone = np.ones(len(sorted_keys), np.bool_)
    differs = sorted_keys[1:] ^ sorted_keys[:-1] > _LOW32
    alone[1:] &= differs
    alone[:-1] &= differs
    return sorted_keys[alone]


def nearest(old: U64, new: U64, expected: I64) -> tuple[I64, I64]:
    """Return for each new key (old position, distance) of the same gram nearest to `expected`.

    The position is -1 if there is none. `old` must be sorted.
    """
    if not len(old):
        return np.full(len(new), -1, np.int64), np.zeros(len(new), np.int64)
    wanted = np.clip(expected, 0, (1 << 32) - 1).astype(np.uint64)
    at = np.searchsorted(old, new & ~_LOW32 | wanted)
    best = np.full(len(new), -1, np.int64)
    gap = np.full(len(new), 1 << 62, np.int64)
    for side in (at - 1, at):
        index = np.clip(side, 0, len(old) - 1)
        same = old[index] >> np.uint64(32) == new >> np.uint64(32)
        position = (old[index] & _LOW32).astype(np.int64)
        closer = same & (np.abs(position - expected) < gap)
        best[closer] = position[closer]
        gap[closer] = np.abs(position - expected)[closer]
    return best, gap


def same(one: Bytes, two: Bytes, at_one: I64, at_two: I64, k: int) -> Bool:
    """Return whether the k bytes at these positions are equal, not only their hashes."""
    left, right = words(one, "<u8"), words(two, "<u8")
    equal = np.ones(len(at_one), np.bool_)
    for j in range(0, k, 8):
        d = min(j, k - 8)
        equal &= left[at_one + d] == right[at_two + d]
    return equal
