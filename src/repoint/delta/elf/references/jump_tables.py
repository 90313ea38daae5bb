"""Jump tables: runs of 32-bit distances in read-only data, found through the LEA of their base.

A table starts at an aligned address that code loads. Each entry plus that address must lie in code,
less than `_NEAR` from the loading instruction. A table ends before the first entry that does not,
and before the next start of a table. GCC and Clang both write switch tables in this form.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes, words
from repoint.delta.elf.common.layout import SHF_EXEC, SHF_WRITE, Layout
from repoint.delta.elf.references.kinds import BASED32, Refs, make_refs

_NEAR = 1 << 17
_LONGEST = 4096


def starts(data: Bytes, layout: Layout, pos: I64, target: I64) -> tuple[I64, I64]:
    """Return (base, site) of the LEAs at file offsets `pos` whose `target` may be a table."""
    ok = np.zeros(len(target), np.bool_)
    for s in layout.sections:
        if s.loaded and s.size >= 4 and not s.flags & (SHF_EXEC | SHF_WRITE):
            ok |= (target >= s.addr) & (target + 4 <= s.addr + s.size)
    ok &= target & 3 == 0
    base, site = target[ok], layout.address(pos[ok])
    return _near(data, layout, base, site, base)


def _near(data: Bytes, layout: Layout, base: I64, site: I64, entry: I64) -> tuple[I64, I64]:
    value = words(data, "<i4")[layout.offset(entry)].astype(np.int64)
    good = (np.abs(base + value - site) < _NEAR) & (value != 0)
    return base[good], site[good]


def entries(data: Bytes, layout: Layout, base: I64, site: I64) -> Refs:
    """Return the entries of all tables at these bases, by the rule of the module."""
    order = np.lexsort((site, base))
    base, site = base[order], site[order]
    first = np.diff(base, prepend=-1) > 0
    base, site = base[first], site[first]
    stop = np.append(base[1:], np.int64(1 << 62))
    offset = layout.offset(base)
    room = np.full(len(base), 0, np.int64)
    for s in layout.sections:
        if s.loaded and s.size:
            inside = (offset >= s.offset) & (offset < s.offset + s.size)
            room[inside] = s.offset + s.size - offset[inside]
    stop = np.minimum(stop, base + room)
    value = words(data, "<i4")
    live = np.arange(len(base))
    pos_parts, target_parts, base_parts = [], [], []
    for k in range(_LONGEST):
        live = live[base[live] + 4 * k + 4 <= stop[live]]
        entry = base[live] + value[offset[live] + 4 * k].astype(np.int64)
        good = np.abs(entry - site[live]) < _NEAR
        live, entry = live[good], entry[good]
        if not len(live):
            break
        pos_parts.append(offset[live] + 4 * k)
        target_parts.append(entry)
        base_parts.append(base[live])
    none = np.zeros(0, np.int64)
    pos = np.concatenate([none, *pos_parts])
    order = np.argsort(pos, kind="stable")
    return make_refs(
        pos[order],
        np.concatenate([none, *target_parts])[order],
        BASED32,
        np.concatenate([none, *base_parts])[order],
    )
