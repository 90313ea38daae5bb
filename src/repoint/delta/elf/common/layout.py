"""The layout of an ELF file: machine, sections, and one address space for everything in it.

Addresses are *unified*: a byte of a loaded section has its virtual address. Every other byte of the
file (symbol tables, debug data, headers) has the address `beyond` + its file offset, and `beyond`
lies above all virtual addresses. So every possible target in a file has exactly one address, and a
single map moves them all.
"""

import struct
from dataclasses import dataclass, field

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes, view

X86_64, AARCH64 = 62, 183
"""e_machine values (System V ABI, processor supplements)."""

SHT_SYMTAB, SHT_RELA, SHT_DYNAMIC, SHT_NOBITS = 2, 4, 6, 8
SHT_DYNSYM, SHT_RELR = 11, 19
SHF_WRITE, SHF_ALLOC, SHF_EXEC, SHF_TLS, SHF_COMPRESSED = 1, 2, 4, 0x400, 0x800
PT_LOAD = 1
_MAX_SECTIONS = 1 << 16
_MAX_ADDRESS = 1 << 46
"""Unified addresses stay far below 2**63, so that sums and differences cannot overflow."""


class UnsupportedFileError(Exception):
    """This codec cannot read the file; the general codecs encode it."""


@dataclass(frozen=True)
class Section:
    """A section: `addr` is unified, `size` is in bytes of the file, `span` in bytes of memory."""

    name: str
    kind: int
    flags: int
    addr: int
    offset: int
    size: int
    span: int
    link: int
    info: int

    @property
    def executable(self) -> bool:
        """True if the section holds machine code."""
        return bool(self.flags & SHF_EXEC) and self.size > 0

    @property
    def loaded(self) -> bool:
        """True if the section is in memory when the program runs."""
        return bool(self.flags & SHF_ALLOC)


@dataclass(frozen=True)
class Layout:
    """A parsed file.

    From file offset cuts[i] up to the next cut, the address of a byte is its offset + shift[i].
    """

    machine: int
    fixed: bool
    """True if the file is linked to a fixed address (ET_EXEC)."""
    sections: tuple[Section, ...]
    beyond: int
    low: int
    high: int
    """All loaded addresses lie in [low, high)."""
    cuts: I64 = field(repr=False)
    shift: I64 = field(repr=False)

    def address(self, offsets: I64) -> I64:
        """Return the unified addresses of file offsets."""
        return offsets + self.shift[np.searchsorted(self.cuts, offsets, "right") - 1]

    def named(self, name: str) -> Section | None:
        """Return the first section of this name with bytes in the file; None if there is none."""
        return next((s for s in self.sections if s.name == name and s.size), None)

    def offset(self, addresses: I64) -> I64:
        """Return the file offsets of unified addresses, -1 if the file has no byte there."""
        parts = sorted((s for s in self.sections if s.size), key=lambda s: s.addr)
        starts = np.array([s.addr for s in parts] or [0], np.int64)
        ends = np.array([s.addr + s.size for s in parts] or [0], np.int64)
        moved = np.array([s.offset - s.addr for s in parts] or [0], np.int64)
        at = np.searchsorted(starts, addresses, "right") - 1
        inside = (at >= 0) & (addresses < ends[at])
        return np.where(inside, addresses + moved[at], -1)


def parse(data: Bytes) -> Layout:
    """Return the layout of a little-endian 64-bit ELF file for x86-64 or AArch64.

    Raises:
        UnsupportedFileError: The file is anything else, or its tables are inconsistent.
    """
    try:
        return _parse(data)
    except (struct.error, ValueError, IndexError, OverflowError) as error:
        raise UnsupportedFileError(str(error)) from error


def _parse(data: Bytes) -> Layout:
    raw = view(data)
    if len(data) < 64 or bytes(raw[:7]) != b"\x7fELF\x02\x01\x01":
        raise UnsupportedFileError("not a 64-bit little-endian ELF file")
    kind, machine = struct.unpack_from("<HH", raw, 16)
    if machine not in (X86_64, AARCH64) or kind not in (2, 3):
        raise UnsupportedFileError("no rules for references of this machine or file type")
    sections = _section_headers(raw) or _program_headers(raw)
    loaded = [s for s in sections if (s.loaded and not s.flags & SHF_TLS) or (s.size and s.loaded)]
    if not loaded or not any(s.executable for s in sections):
        raise UnsupportedFileError("no code")
    low = min(s.addr for s in loaded)
    high = max(s.addr + s.span for s in loaded)
    beyond = (high + (1 << 20)) >> 12 << 12
    if high >= _MAX_ADDRESS or low < 0:
        raise UnsupportedFileError("addresses out of range")
    placed = tuple(
        s if s.loaded else Section(**{**vars(s), "addr": beyond + s.offset}) for s in sections
    )
    cuts, shift = _shifts(placed, beyond)
    return Layout(machine, kind == 2, placed, beyond, low, high, cuts, shift)


def _section_headers(raw: memoryview) -> list[Section]:
    (start,) = struct.unpack_from("<Q", raw, 40)
    size, count, names = struct.unpack_from("<HHH", raw, 58)
    if not start or size != 64 or start + 64 > len(raw):
        return []
    first = struct.unpack_from("<IIQQQQIIQQ", raw, start)
    count = count or first[5]
    names = first[6] if names == 0xFFFF else names
    if count > _MAX_SECTIONS or names >= count:
        return []
    rows = [struct.unpack_from("<IIQQQQIIQQ", raw, start + 64 * i) for i in range(count)]
    table = bytes(raw[rows[names][4] : rows[names][4] + rows[names][5]])
    found = []
    for name, kind, flags, addr, offset, size, link, info, _, _ in rows:
        stored = 0 if kind in (0, SHT_NOBITS) else size
        if stored and offset + stored > len(raw):
            raise UnsupportedFileError("a section lies outside the file")
        text = table[name : table.find(b"\0", name)].decode("latin-1")
        found.append(Section(text, kind, flags, addr, offset, stored, size, link, info))
    return found


def _program_headers(raw: memoryview) -> list[Section]:
    """Return the loaded segments as sections, for files without section headers."""
    (start,) = struct.unpack_from("<Q", raw, 32)
    size, count = struct.unpack_from("<HH", raw, 54)
    if size != 56 or not count:
        return []
    found = []
    for i in range(count):
        kind, flags, offset, addr, _, filled, span, _ = struct.unpack_from(
            "<IIQQQQQQ", raw, start + 56 * i
        )
        if kind != PT_LOAD:
            continue
        if offset + filled > len(raw):
            raise UnsupportedFileError("a segment lies outside the file")
        bits = SHF_ALLOC | (SHF_EXEC if flags & 1 else 0) | (SHF_WRITE if flags & 2 else 0)
        found.append(Section(f"load{i}", 1, bits, addr, offset, filled, span, 0, 0))
    return found


def _shifts(sections: tuple[Section, ...], beyond: int) -> tuple[I64, I64]:
    """Return the breakpoints of address - offset over the whole file, from offset 0 on."""
    cuts, shift, end = [0], [beyond], 0
    for s in sorted((s for s in sections if s.size), key=lambda s: (s.offset, s.size)):
        if s.offset < end:
            continue
        if s.offset > end and shift[-1] != beyond and s.addr - s.offset != shift[-1]:
            cuts.append(end)
            shift.append(beyond)
        if s.addr - s.offset != shift[-1]:
            cuts.append(s.offset)
            shift.append(s.addr - s.offset)
        end = s.offset + s.size
    keep = [i for i in range(len(cuts)) if i + 1 == len(cuts) or cuts[i + 1] > cuts[i]]
    return np.array(cuts, np.int64)[keep], np.array(shift, np.int64)[keep]
