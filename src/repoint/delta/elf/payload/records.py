"""The columns of a payload as checked records."""

import numpy as np

from repoint.delta.elf.common.arrays import I64
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.payload.columns import unpack, unzigzag
from repoint.delta.elf.payload.streams import Streams
from repoint.delta.errors import PatchError

_LIMIT = 1 << 47
"""No number and no sum of a column is larger, so that nothing computed from them overflows."""
_MAX_DERIVED = 8

Moves = tuple[I64, I64, I64]
"""Corrections of the address map: first old address, end, and what is added to the delta."""
DerivedRule = tuple[int, int, int, int, int, int, int]
"""A part that follows from other bytes; see `prediction.derived`."""


def read_copies(streams: Streams, old_size: int, new_size: int) -> Copies:
    """Return the copies, all of them inside both files."""
    gap, length = unpack(streams.copy_gap), unpack(streams.copy_length)
    step = unzigzag(unpack(streams.copy_from).view(np.uint64))
    if not len(gap) == len(length) == len(step):
        raise PatchError("columns of copies differ in length")
    check_range(gap, length, np.abs(step))
    end = np.cumsum(gap + length)
    new = end - length
    old = np.cumsum(step + np.concatenate([[0], length[:-1]])) if len(step) else step
    if len(end) and (int(end[-1]) > new_size or int(old.min()) < 0 or int(length.min()) < 1):
        raise PatchError("a copy lies outside the files")
    if len(end) and int((old + length).max()) > old_size:
        raise PatchError("a copy lies outside the old file")
    return Copies(new, old, length)


def read_cuts(streams: Streams) -> tuple[I64, I64]:
    """Return `cuts` and `shift` of the new file; see `Layout`."""
    rows = unpack(streams.layout)
    cuts, shift = rows[0::2], unzigzag(rows[1::2].view(np.uint64))
    if not len(cuts) or len(cuts) != len(shift) or cuts[0] != 0:
        raise PatchError("the new layout is incomplete")
    check_range(cuts, np.abs(shift))
    return np.cumsum(cuts), np.cumsum(shift)


def read_moves(streams: Streams) -> Moves:
    """Return the corrections of the address map, ascending and disjoint."""
    gap, length = unpack(streams.move_gap), unpack(streams.move_length)
    delta = unzigzag(unpack(streams.move_delta).view(np.uint64))
    if not len(gap) == len(length) == len(delta):
        raise PatchError("columns of moves differ in length")
    check_range(gap, length, np.abs(delta))
    end = np.cumsum(gap + length)
    return end - length, end, delta


def read_derived(streams: Streams) -> list[DerivedRule]:
    """Return the rules of derived parts."""
    numbers = unzigzag(unpack(streams.derived).view(np.uint64))
    if len(numbers) % 7 or len(numbers) > 7 * _MAX_DERIVED:
        raise PatchError("derived parts are incomplete")
    check_range(np.abs(numbers))
    return [(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in numbers.reshape(-1, 7).tolist()]


def read_swaps(streams: Streams, new_size: int) -> tuple[I64, I64]:
    """Return the ranges [start, end) inside copies whose bytes are sent anew."""
    gap, length = unpack(streams.swap_gap), unpack(streams.swap_length)
    if len(gap) != len(length):
        raise PatchError("columns of swaps differ in length")
    check_range(gap, length)
    end = np.cumsum(gap + length)
    if len(end) and int(end[-1]) > new_size:
        raise PatchError("a swap lies outside the new file")
    return end - length, end


def sent_ranges(copies: Copies, swaps: tuple[I64, I64], new_size: int) -> tuple[I64, I64]:
    """Return all non-empty ranges of the new file whose bytes are sent, in order of position."""
    start = np.concatenate([[0], copies.new + copies.length, swaps[0]])
    end = np.concatenate([copies.new, [new_size], swaps[1]])
    order = np.argsort(start, kind="stable")
    order = order[end[order] > start[order]]
    return start[order], end[order]


def check_range(*columns: I64) -> None:
    """Refuse numbers whose sums could overflow."""
    for column in columns:
        if len(column) and (int(column.min()) < 0 or int(column.max()) > _LIMIT):
            raise PatchError("a number is out of range")
        if len(column) > 1 << 15 and int(column.astype(np.float64).sum()) > _LIMIT:
            raise PatchError("numbers are out of range")
