"""The prediction that encoder and decoder share: copies with their references rewritten.

Every reference of the old file that lies wholly in a copied range is *used* once per range. Used
references have a fixed order (code block by code block, then the tables; in each by copied range
sorted by old position, then by position), and the patch's corrections count in that order.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.arrays import I64, U64, Bytes, ragged
from repoint.delta.elf.extract import BLOCK, Extractor
from repoint.delta.elf.kinds import KINDS, WIDTH, Refs, field_value, groups, write_field
from repoint.delta.elf.layout import Layout
from repoint.delta.elf.moves import AddressMap, Copies

_AT_ONCE = 1 << 16
"""Used references handled at a time; bounds memory, changes no result."""


@dataclass(frozen=True)
class Used:
    """Some used references: what they were in the old file and where they are in the new."""

    refs: Refs
    pos: I64
    """File offset in the new file."""
    place: I64
    """Unified address in the new file."""

    def values(self, move: AddressMap) -> U64:
        """Return the predicted number of each field."""
        target = move(self.refs.target)
        out = np.zeros(len(self.pos), np.uint64)
        for code, who in groups(self.refs.kind):
            base = self.refs.base[who]
            base = move(base) if base.any() else base
            out[who] = field_value(KINDS[code], target[who], self.place[who], base)
        return out

    def write(self, new: Bytes, value: U64, keep: I64 | slice) -> None:
        """Put the numbers of the references at `keep` into the new file."""
        kind, pos, value = self.refs.kind[keep], self.pos[keep], value[keep]
        for code, who in groups(kind):
            write_field(new, KINDS[code], code, pos[who], value[who])


def copy(old: Bytes, new: Bytes, copies: Copies) -> None:
    """Copy all ranges as they are."""
    rows = zip(copies.new.tolist(), copies.old.tolist(), copies.length.tolist(), strict=True)
    for to, source, length in rows:
        new[to : to + length] = old[source : source + length]


def used(
    old: Bytes, layout: Layout, copies: Copies, new_cuts: I64, new_shift: I64
) -> Iterator[Used]:
    """All used references in their order, in portions."""
    parts = copies.split(np.zeros(0, np.int64), new_cuts)
    order = np.lexsort((parts.new, parts.old))
    parts = Copies(parts.new[order], parts.old[order], parts.length[order])
    shift = new_shift[np.searchsorted(new_cuts, parts.new, "right") - 1]
    end = parts.old + parts.length
    first, last = parts.old // BLOCK, (end - 1) // BLOCK
    owner, block = ragged(first, last + 1)
    by_block = np.argsort(block, kind="stable")
    owner, block = owner[by_block], block[by_block]
    work = Extractor(old, layout)
    for start, stop, refs in work.blocks():
        low, high = np.searchsorted(block, [start // BLOCK, start // BLOCK + 1])
        who = owner[low:high]
        who = who[(parts.old[who] < stop) & (end[who] > start)]
        yield from _portions(refs, parts, shift, who)
    yield from _portions(work.rest(), parts, shift, np.arange(len(parts), dtype=np.int64))


def _portions(refs: Refs, parts: Copies, shift: I64, who: I64) -> Iterator[Used]:
    """Return the uses of `refs` (sorted) in the ranges `who`."""
    if not len(refs) or not len(who):
        return
    start, end = parts.old[who], parts.old[who] + parts.length[who]
    low = np.searchsorted(refs.pos, start)
    high = np.searchsorted(refs.pos, end)
    for _ in range(2):
        tail = np.maximum(high - 1, 0)
        cut = (high > low) & (refs.pos[tail] + WIDTH[refs.kind[tail]] > end)
        high = high - cut
    total = np.cumsum(np.maximum(high - low, 0))
    a = 0
    while a < len(who):
        done = int(total[a - 1]) if a else 0
        b = max(a + 1, int(np.searchsorted(total, done + _AT_ONCE, "right")))
        which, index = ragged(low[a:b], high[a:b])
        mine = who[a:b][which]
        pos = refs.pos[index] + (parts.new - parts.old)[mine]
        yield Used(refs.take(index), pos, pos + shift[mine])
        a = b
