"""References in the tables of Go programs (runtime/symtab.go, internal/abi; Go 1.18 and later).

`.gopclntab` holds a header, tables of names and files, per function a record of offsets into a
table of varints (`pctab`), and a sorted index of functions. Offsets count from bases in the header,
except those of function data, whose base is in the module data. The module data is found by its
first words (address of the table, address of its names) in a writable section.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes, ragged, words
from repoint.delta.elf.common.layout import SHF_EXEC, SHF_WRITE, Layout, Section
from repoint.delta.elf.references.kinds import ABS64, BASED32, BASED64, INDEX4, Refs, make_refs

_MAGIC = {0xFFFFFFF0: (40, 38, 35), 0xFFFFFFF1: (44, 40, 37)}
"""Magic (Go 1.18 and 1.19; 1.20 and later) -> bytes of a function record, and the words of the
module data that hold the base of function data and the base of types."""
_NAMES = (".gopclntab", ".data.rel.ro.gopclntab")
_LARGEST = 1 << 24


class _Table:
    def __init__(self, data: Bytes, section: Section) -> None:
        head = data[section.offset : section.offset + 72]
        self.magic = int(head[:4].view("<u4")[0])
        number = head[8:72].view("<u8").astype(np.int64).tolist()
        self.count, _, self.text, self.name, self.unit, self.file, self.pc, self.index = number
        self.section = section
        size = section.size
        inner = (self.name, self.unit, self.file, self.pc, self.index)
        self.good = (
            self.magic in _MAGIC
            and 0 < self.count < _LARGEST
            and all(0 < v < size for v in inner)
            and self.index + 8 * self.count + 4 <= size
        )


def go(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the references of a Go program's tables; an empty list for other programs."""
    section = next((s for n in _NAMES if (s := layout.named(n))), None)
    if section is None or section.size < 72 or section.offset & 7:
        return []
    table = _Table(data, section)
    if not table.good:
        return []
    return [*_header(table), *_functions(data, layout, table)]


def _header(t: _Table) -> list[Refs]:
    at = np.array([t.section.offset + 24], np.int64)
    inner = np.array([t.name, t.unit, t.file, t.pc, t.index], np.int64)
    base = t.section.addr
    return [
        make_refs(at, np.array([t.text], np.int64), ABS64),
        make_refs(at + 8 * np.arange(1, 6), inner + base, BASED64, base),
    ]


def _functions(data: Bytes, layout: Layout, t: _Table) -> list[Refs]:
    size, function_word, type_word = _MAGIC[t.magic]
    start, base = t.section.offset, t.section.addr
    end = start + t.section.size
    value = words(data, "<u4")
    row = start + t.index + 8 * np.arange(t.count, dtype=np.int64)
    found = [_based(value, np.append(row, row[-1] + 8), BASED32, t.text)]
    found.append(_based(value, row + 4, BASED32, base + t.index))
    record = start + t.index + value[row + 4].astype(np.int64)
    record = np.unique(record[record + size <= end])
    found.append(_based(value, record, BASED32, t.text))
    found.append(_based(value, record + 4, BASED32, base + t.name))
    found.append(_based(value, record + 32, INDEX4, base + t.unit))
    pc_count = value[record + 28].astype(np.int64)
    data_count = data[record + size - 1].astype(np.int64)
    fits = (pc_count < 256) & (record + size + 4 * (pc_count + data_count) <= end)
    record, pc_count, data_count = record[fits], pc_count[fits], data_count[fits]
    first = record + size
    _, step = ragged(np.zeros_like(pc_count), pc_count)
    offsets = np.repeat(first, pc_count) + 4 * step
    pcs = np.concatenate([record + 16, record + 20, record + 24, offsets])
    found.append(_based(value, pcs[value[pcs] > 0], BASED32, base + t.pc))
    units = np.arange(start + t.unit, start + t.file - 3, 4, dtype=np.int64)
    found.append(_based(value, units[value[units] != 0xFFFFFFFF], BASED32, base + t.file))
    module = _module(data, layout, t)
    if module:
        function_base, type_base = module[function_word], module[type_word]
        _, step = ragged(np.zeros_like(data_count), data_count)
        at = np.repeat(first + 4 * pc_count, data_count) + 4 * step
        found.append(_based(value, at[value[at] != 0xFFFFFFFF], BASED32, function_base))
        links = layout.named(".typelink")
        if links:
            at = links.offset + 4 * np.arange(links.size // 4, dtype=np.int64)
            found.append(_based(value, at, BASED32, type_base))
    return found


def _based(value: I64, at: I64, kind: int, base: int) -> Refs:
    unit = 4 if kind == INDEX4 else 1
    return make_refs(at, base + unit * value[at].astype(np.int64), kind, base)


def _module(data: Bytes, layout: Layout, t: _Table) -> list[int]:
    """Return the first words of the module data; an empty list if it is not found."""
    for s in layout.sections:
        if not s.flags & SHF_WRITE or s.flags & SHF_EXEC or s.size < 400:
            continue
        start = s.offset + (-s.offset & 7)
        word = data[start : start + (s.offset + s.size - start) // 8 * 8].view("<i8")
        hit = np.flatnonzero(
            (word[:-41] == t.section.addr) & (word[1:-40] == t.section.addr + t.name)
        )
        if len(hit):
            found: list[int] = word[hit[0] : hit[0] + 41].tolist()
            if all(layout.low <= found[k] < layout.high for k in (35, 37, 38, 40)):
                return found
    return []
