"""The map from old to new addresses, as it follows from the copies."""

import numpy as np

from repoint.delta.elf.common.arrays import I64
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.common.layout import Layout

_PAGES = 1 << 20
"""Entries of the lookup table; they affect nothing but speed."""


class AddressMap:
    """A function from old to new unified addresses: address + delta, delta piecewise constant."""

    def __init__(self, start: I64, delta: I64) -> None:
        """Take the pieces: `start` ascends, and below start[0] the first delta holds."""
        if not len(start):
            start, delta = np.zeros(1, np.int64), np.zeros(1, np.int64)
        self.start, self.delta = start, delta
        self._low = int(start[0])
        span = int(start[-1]) - self._low + 1
        self._shift = max(0, (span // _PAGES).bit_length())
        edges = (np.arange((span >> self._shift) + 2, dtype=np.int64) << self._shift) + self._low
        self._index = np.searchsorted(start, edges, "right") - 1

    def delta_of(self, address: I64) -> I64:
        """Return the delta of each old address."""
        page = np.clip((address - self._low) >> self._shift, 0, len(self._index) - 2)
        found = self._index[page]
        mixed = np.flatnonzero(found != self._index[page + 1])
        if len(mixed):
            exact = np.searchsorted(self.start, address[mixed], "right") - 1
            found[mixed] = np.maximum(exact, 0)
        delta: I64 = self.delta[found]
        return delta

    def __call__(self, address: I64) -> I64:
        """Return the new addresses of old ones."""
        return address + self.delta_of(address)

    def changed(self, first: I64, end: I64, extra: I64) -> "AddressMap":
        """Return the map with `extra` added on each of the disjoint ascending [first, end)."""
        if not len(first):
            return self
        points = np.unique(np.concatenate([self.start, first, end]))
        at = np.searchsorted(first, points, "right") - 1
        inside = (at >= 0) & (points < end[at])
        return AddressMap(points, self.delta_of(points) + np.where(inside, extra[at], 0))


def map_from(copies: Copies, old: Layout, new_cuts: I64, new_shift: I64) -> AddressMap:
    """Return the address map that copies imply.

    If ranges overlap in the old file, the one that starts first holds until its end. Between
    ranges, the one before holds. `new_cuts` and `new_shift` describe the new file as in `Layout`.
    """
    parts = copies.split(old.cuts, new_cuts)
    start = old.address(parts.old)
    shift = new_shift[np.searchsorted(new_cuts, parts.new, "right") - 1]
    delta = parts.new + shift - start
    order = np.lexsort((parts.new, start))
    start, delta, length = start[order], delta[order], parts.length[order]
    end = np.maximum.accumulate(start + length) if len(start) else start
    start = np.maximum(start, np.concatenate([start[:1], end[:-1]]))
    keep = end > start
    start, delta = start[keep], delta[keep]
    if len(start):
        turn = np.ones(len(start), np.bool_)
        turn[1:] = delta[1:] != delta[:-1]
        start, delta = start[turn], delta[turn]
    return AddressMap(start, delta)
