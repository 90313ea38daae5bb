"""The prediction that encoder and decoder share: copies with their references rewritten.

Every reference of the old file is *used* once for every copied range that holds it whole. Used
references have a fixed order, in which the corrections of a patch count: code block by code block,
then the tables; within those range by range, sorted by old position; within a range by position.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common.address_map import AddressMap
from repoint.delta.elf.common.arrays import I64, U64, Bytes, ragged
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.common.layout import Layout
from repoint.delta.elf.references.extract import BLOCK, Extractor
from repoint.delta.elf.references.kinds import KINDS, WIDTH, Refs, field_value, groups, write_field

_AT_ONCE = 1 << 16
"""Used references handled at a time: bounds memory and changes no result."""


@dataclass(frozen=True)
class UsedRefs:
    """Some used references: as they were in the old file, with their positions in the new one."""

    refs: Refs
    pos: I64
    """File offset in the new file."""
    address: I64
    """Unified address in the new file."""

    def values(self, move: AddressMap) -> U64:
        """Return the predicted number of each field."""
        target = move(self.refs.target)
        out = np.zeros(len(self.pos), np.uint64)
        for code, index in groups(self.refs.kind):
            base = self.refs.base[index]
            base = move(base) if base.any() else base
            out[index] = field_value(KINDS[code], target[index], self.address[index], base)
        return out

    def write(self, new: Bytes, value: U64, keep: I64 | slice) -> None:
        """Write the numbers of the references at `keep` into the new file."""
        kind, pos, value = self.refs.kind[keep], self.pos[keep], value[keep]
        for code, index in groups(kind):
            write_field(new, KINDS[code], code, pos[index], value[index])


def copy(old: Bytes, new: Bytes, copies: Copies) -> None:
    """Copy all ranges unchanged."""
    rows = zip(copies.new.tolist(), copies.old.tolist(), copies.length.tolist(), strict=True)
    for to, source, length in rows:
        new[to : to + length] = old[source : source + length]


def used_references(
    old: Bytes, layout: Layout, copies: Copies, new_cuts: I64, new_shift: I64
) -> Iterator[UsedRefs]:
    """Yield all used references in their order, in portions."""
    parts = copies.split(np.zeros(0, np.int64), new_cuts)
    order = np.lexsort((parts.new, parts.old))
    parts = Copies(parts.new[order], parts.old[order], parts.length[order])
    shift = new_shift[np.searchsorted(new_cuts, parts.new, "right") - 1]
    end = parts.old + parts.length
    first, last = parts.old // BLOCK, (end - 1) // BLOCK
    owner, block = ragged(first, last + 1)
    by_block = np.argsort(block, kind="stable")
    owner, block = owner[by_block], block[by_block]
    extractor = Extractor(old, layout)
    for start, stop, refs in extractor.blocks():
        low, high = np.searchsorted(block, [start // BLOCK, start // BLOCK + 1])
        ranges = owner[low:high]
        ranges = ranges[(parts.old[ranges] < stop) & (end[ranges] > start)]
        yield from _portions(refs, parts, shift, ranges)
    yield from _portions(extractor.rest(), parts, shift, np.arange(len(parts), dtype=np.int64))


def _portions(refs: Refs, parts: Copies, shift: I64, ranges: I64) -> Iterator[UsedRefs]:
    """Yield the uses of `refs`, which are sorted, in the ranges with indexes `ranges`."""
    if not len(refs) or not len(ranges):
        return
    start, end = parts.old[ranges], parts.old[ranges] + parts.length[ranges]
    low = np.searchsorted(refs.pos, start)
    high = np.searchsorted(refs.pos, end)
    for _ in range(2):
        tail = np.maximum(high - 1, 0)
        cut = (high > low) & (refs.pos[tail] + WIDTH[refs.kind[tail]] > end)
        high = high - cut
    total = np.cumsum(np.maximum(high - low, 0))
    a = 0
    while a < len(ranges):
        done = int(total[a - 1]) if a else 0
        b = max(a + 1, int(np.searchsorted(total, done + _AT_ONCE, "right")))
        owner, index = ragged(low[a:b], high[a:b])
        mine = ranges[a:b][owner]
        pos = refs.pos[index] + (parts.new - parts.old)[mine]
        yield UsedRefs(refs.take(index), pos, pos + shift[mine])
        a = b
