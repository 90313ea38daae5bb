"""References in the tables that linkers write: relocations, symbols, dynamic section, pointers.

The formats are those of the System V ABI (gABI chapters 4 and 5) and its RELR extension.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bool, Bytes, words
from repoint.delta.elf.common.layout import (
    SHF_EXEC,
    SHT_DYNAMIC,
    SHT_DYNSYM,
    SHT_RELA,
    SHT_RELR,
    SHT_SYMTAB,
    X86_64,
    Layout,
    Section,
)
from repoint.delta.elf.references.kinds import (
    ABS64,
    BASED32,
    BASED64,
    INDEX32,
    SYMBOL_SIZE,
    Refs,
    make_refs,
)

_ADDEND_IS_ADDRESS = np.array([8, 37, 1027, 1032], np.int64)
"""R_X86_64_RELATIVE, _IRELATIVE, R_AARCH64_RELATIVE, _IRELATIVE."""
_LAZY_SLOT = np.array([7, 1026], np.int64)
"""R_X86_64_JUMP_SLOT, R_AARCH64_JUMP_SLOT."""
_DT_ADDRESS = [3, 4, 5, 6, 7, 12, 13, 23, 25, 26, 32, 36]
_DT_ADDRESS += [0x6FFFFEF5, 0x6FFFFFF0, 0x6FFFFFFC, 0x6FFFFFFE]
_DT_SIZE = {2: 23, 8: 7, 10: 5, 27: 25, 28: 26, 33: 32, 35: 36}
"""d_tag of a size -> d_tag of the address of the table with that size."""


def _rows(data: Bytes, s: Section, size: int, column: int, dtype: str) -> tuple[I64, I64]:
    """Return (file offset, value) of one field of every entry of a table."""
    pos = s.offset + column + np.arange(s.size // size, dtype=np.int64) * size
    return pos, words(data, dtype)[pos].astype(np.int64)


def relocations(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the references of `.rela.*`, and the words at their targets that repeat the addend."""
    found = []
    for s in layout.sections:
        if s.kind != SHT_RELA or not s.loaded or not s.size:
            continue
        pos, target = _rows(data, s, 24, 0, "<i8")
        _, info = _rows(data, s, 24, 8, "<i8")
        _, addend = _rows(data, s, 24, 16, "<i8")
        known = _plausible(layout, target)
        found.append(make_refs(pos[known], target[known], ABS64))
        moves = np.isin(info & 0xFFFFFFFF, _ADDEND_IS_ADDRESS) & _plausible(layout, addend)
        found.append(make_refs(pos[moves] + 16, addend[moves], ABS64))
        symbol = info >> 32
        if s.link < len(layout.sections):
            table = layout.sections[s.link]
            named = (symbol > 0) & (symbol < table.size // SYMBOL_SIZE)
            entry = table.addr + symbol[named] * SYMBOL_SIZE
            found.append(make_refs(pos[named] + 12, entry, INDEX32, table.addr))
        slot = np.isin(info & 0xFFFFFFFF, _LAZY_SLOT)
        found.append(_pointed(data, layout, target[moves], addend[moves]))
        found.append(_pointed(data, layout, target[slot], None))
    return found


def _pointed(data: Bytes, layout: Layout, address: I64, expected: I64 | None) -> Refs:
    """Return the words at these addresses that hold `expected`, or any address if it is None."""
    word = layout.offset(address)
    inside = (word >= 0) & (word + 8 <= len(data))
    word = word[inside]
    value = words(data, "<i8")[word].astype(np.int64)
    good = _plausible(layout, value) if expected is None else value == expected[inside]
    return make_refs(word[good], value[good], ABS64)


def linkage(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the indexes into `.rela.plt` that x86-64 procedure linkage tables push."""
    plt, table = layout.named(".plt"), layout.named(".rela.plt")
    if plt is None or table is None or layout.machine != X86_64:
        return []
    entry = plt.offset + np.arange(plt.size // 16, dtype=np.int64) * 16
    found = []
    for at in (4, 6):
        push = entry[data[entry + at] == 0x68] + at + 1
        value = words(data, "<u4")[push].astype(np.int64)
        good = value < table.size // 24
        found.append(make_refs(push[good], table.addr + value[good] * 24, INDEX32, table.addr))
    return found


def hash_table(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the symbol indexes in `.hash`, the older kind of symbol hash table."""
    s, table = layout.named(".hash"), layout.named(".dynsym")
    if s is None or table is None:
        return []
    at = s.offset + np.arange(8, s.size - 3, 4, dtype=np.int64)
    value = words(data, "<u4")[at].astype(np.int64)
    good = (value > 0) & (value < table.size // SYMBOL_SIZE)
    target = table.addr + value[good] * SYMBOL_SIZE
    return [make_refs(at[good], target, INDEX32, table.addr)]


def relative_words(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the references of RELR sections and of the words that they relocate.

    Even entries are addresses; odd ones are bitmaps of which of the next 63 words are pointers.
    """
    found = []
    for s in layout.sections:
        if s.kind != SHT_RELR or not s.size:
            continue
        pos, entry = _rows(data, s, 8, 0, "<i8")
        even = entry & 1 == 0
        index = np.arange(len(entry))
        last = np.maximum.accumulate(np.where(even, index, -1))
        bits, start = np.flatnonzero(~even & (last >= 0)), entry[last]
        first = start[bits] + 8 + (bits - last[bits] - 1) * 504
        shift = np.arange(1, 64, dtype=np.int64)
        on = (entry[bits][:, None] >> shift) & 1
        marked = (first[:, None] + (shift - 1) * 8)[on != 0]
        target = np.concatenate([entry[even], marked])
        known = even & _plausible(layout, entry)
        found.append(make_refs(pos[known], entry[known], ABS64))
        found.append(_pointed(data, layout, target[_plausible(layout, target)], None))
    return found


def symbols(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the values, sizes and names of `.dynsym` and `.symtab`."""
    found = []
    for s in layout.sections:
        if s.kind not in (SHT_SYMTAB, SHT_DYNSYM) or not s.size:
            continue
        pos, value = _rows(data, s, SYMBOL_SIZE, 8, "<i8")
        _, length = _rows(data, s, SYMBOL_SIZE, 16, "<i8")
        _, head = _rows(data, s, SYMBOL_SIZE, 4, "<u4")
        shndx, style = head >> 16, head & 15
        placed = (shndx != 0) & (shndx < 0xFF00) & (style != 6) & _plausible(layout, value)
        found.append(make_refs(pos[placed], value[placed], ABS64))
        sized = placed & (length > 0) & (length <= layout.high - value)
        found.append(make_refs(pos[sized] + 8, (value + length)[sized], BASED64, value[sized]))
        if s.link < len(layout.sections):
            names = layout.sections[s.link]
            at, name = _rows(data, s, SYMBOL_SIZE, 0, "<u4")
            good = (name > 0) & (name < names.size)
            found.append(make_refs(at[good], names.addr + name[good], BASED32, names.addr))
    return found


def dynamic(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the addresses and sizes in `.dynamic`."""
    found = []
    for s in layout.sections:
        if s.kind != SHT_DYNAMIC or not s.size:
            continue
        _, tag = _rows(data, s, 16, 0, "<i8")
        pos, value = _rows(data, s, 16, 8, "<i8")
        address = np.isin(tag, _DT_ADDRESS) & _plausible(layout, value)
        found.append(make_refs(pos[address], value[address], ABS64))
        address_of = dict(zip(tag[address].tolist(), value[address].tolist(), strict=True))
        for p, t, v in zip(pos.tolist(), tag.tolist(), value.tolist(), strict=True):
            base = address_of.get(_DT_SIZE.get(t, -1))
            if base is not None and 0 < v <= layout.high - base:
                one = np.array([p], np.int64)
                found.append(make_refs(one, np.array([base + v]), BASED64, base))
    return found


def plain_pointers(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the aligned words in the data of a fixed-address file that point to loaded memory."""
    found = []
    for s in layout.sections:
        if not (layout.fixed and s.loaded and s.size >= 8) or s.flags & SHF_EXEC:
            continue
        first = s.offset + (-s.offset & 7)
        count = min((s.size - 7) // 8, (s.offset + s.size - first) // 8)
        value = data[first : first + 8 * count].view("<i8")
        good = np.flatnonzero(_plausible(layout, value))
        found.append(make_refs(first + 8 * good, value[good], ABS64))
    return found


def _plausible(layout: Layout, address: I64) -> Bool:
    return (address >= max(layout.low, 1)) & (address <= layout.high)
