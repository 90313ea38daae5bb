"""References in x86-64 machine code, found by opcode patterns without disassembly.

Three patterns (Intel SDM vol. 2, appendix A and 2.2.1.6):

    branch    E8/E9 rel32
    jcc       0F 80..8F rel32
    operand   an opcode that takes a ModRM byte, ModRM with mod=00 rm=101 (RIP-relative), disp32

A candidate counts if its target lies in code (branches) or anywhere in loaded memory (operands).
A call (E8) also needs a target that looks like the start of a function: aligned to 16, or after a
byte that ends functions, or less than 1 MiB away, or called twice from the same block. If
candidates overlap, the one with the lower rank wins; of equal ranks, the first. These rules are
part of the format: every version must find the same references.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bool, Bytes, words
from repoint.delta.elf.common.layout import Layout, Section
from repoint.delta.elf.references.kinds import PC4

_REACH = 12
"""Bytes before and after a block that can affect what is found in it."""


def _tables() -> tuple[Bytes, Bytes]:
    """Return the kind of operand per opcode of the one-byte and the 0F map, plus 1; 0 for none."""
    one, two = np.zeros(256, np.uint8), np.zeros(256, np.uint8)
    none, byte, quad = PC4 + 1, PC4 + 2, PC4 + 4
    for row in range(0x00, 0x40, 8):
        one[[row + 1, row + 3]] = none
    one[[0x38, 0x3A, 0x63, *range(0x84, 0x8E), 0xD1, 0xD3, 0xD9, 0xDB, 0xDD, 0xFE, 0xFF]] = none
    one[[0x6B, 0x80, 0x83, 0xC0, 0xC1, 0xC6, 0xF6]] = byte
    one[[0x69, 0x81, 0xC7, 0xF7]] = quad
    two[[*range(0x10, 0x30), *range(0x40, 0x77), *range(0x78, 0x80), *range(0x90, 0xA0)]] = none
    two[[0xA3, 0xAB, 0xAF, *range(0xB0, 0xBA), *range(0xBB, 0xC2), 0xC3, *range(0xD0, 0xFF)]] = none
    two[[0x70, 0x71, 0x72, 0x73, 0xA4, 0xAC, 0xBA, 0xC2, 0xC4, 0xC5, 0xC6]] = byte
    return one, two


_ONE, _TWO = _tables()
_NEAR = 1 << 20
_Candidates = tuple[I64, Bytes, I64, I64]
"""Offset in the scanned piece, kind, target and rank."""


class X86Scanner:
    """Finds references block by block in one code section."""

    def __init__(self, data: Bytes, layout: Layout, section: Section) -> None:
        self._code = data[section.offset : section.offset + section.size]
        self._section = section
        self._low, self._high = layout.low, layout.high
        code = [s for s in layout.sections if s.executable]
        self._first = min(s.addr for s in code)
        self._last = max(s.addr + s.size for s in code)
        self._byte = np.zeros(0, np.uint8)
        self._mask = np.zeros(0, np.bool_)

    def scan(self, start: int, end: int) -> tuple[I64, Bytes, I64]:
        """Return (section offset, kind, target) of the references that start in [start, end)."""
        low = max(0, start - _REACH)
        high = min(len(self._code), end + _REACH)
        code = self._code[low:high]
        if len(code) < 12:
            return np.zeros(0, np.int64), np.zeros(0, np.uint8), np.zeros(0, np.int64)
        if len(self._byte) < len(code):
            self._byte, self._mask = np.empty(len(code), np.uint8), np.empty(len(code), np.bool_)
        disp = words(code, "<i4")
        address = self._section.addr + low
        parts = [
            self._operands(code, disp, address),
            self._branches(code, disp, address, self._near(code, disp, 0xFF, 0x0F)),
            self._calls(code, disp, address),
        ]
        pos = np.concatenate([p for p, _, _, _ in parts])
        order = np.argsort(pos, kind="stable")
        pos = pos[order]
        rank = np.concatenate([r for _, _, _, r in parts])[order]
        kept = _winners(pos, rank) & (pos >= start - low) & (pos < end - low)
        kind = np.concatenate([k for _, k, _, _ in parts])[order]
        target = np.concatenate([t for _, _, t, _ in parts])[order]
        return pos[kept] + low, kind[kept], target[kept]

    def _near(self, code: Bytes, disp: I64, mask: int, value: int) -> I64:
        """Return the offsets behind a byte that is `value` under `mask`, with room for a disp32."""
        n = len(disp) - 2
        byte, hit = self._byte[:n], self._mask[:n]
        np.bitwise_and(code[:n], np.uint8(mask), out=byte)
        np.equal(byte, np.uint8(value), out=hit)
        return np.flatnonzero(hit) + 1

    def _branches(self, code: Bytes, disp: I64, address: int, at: I64) -> _Candidates:
        at = at[(code[at] & 0xF0) == 0x80] + 1
        target = disp[at] + (at + (address + 4))
        fits = (target >= self._first) & (target < self._last)
        at, target = at[fits], target[fits]
        return at, np.full(len(at), PC4, np.uint8), target, np.full(len(at), 1)

    def _calls(self, code: Bytes, disp: I64, address: int) -> _Candidates:
        at = self._near(code, disp, 0xFE, 0xE8)
        target = disp[at] + (at + (address + 4))
        fits = (target >= self._first) & (target < self._last)
        at, target = at[fits], target[fits]
        call = code[at - 1] == 0xE8
        aligned = target & 15 == 0
        near = np.abs(disp[at]) < _NEAR
        doubtful = np.flatnonzero(call & ~aligned & ~near)
        good = np.ones(len(at), np.bool_)
        good[doubtful] = self._entered(target[doubtful])
        rank = np.where(call, np.where(aligned, 0, 2), np.where(near, 1, 2))
        return at[good], np.full(int(good.sum()), PC4, np.uint8), target[good], rank[good]

    def _entered(self, target: I64) -> Bool:
        """Return which targets look like starts of functions: by the byte before, or by count."""
        offset = target - self._section.addr
        inside = (offset > 0) & (offset <= len(self._code))
        before = self._code[np.where(inside, offset - 1, 0)]
        _, index, count = np.unique(target, return_inverse=True, return_counts=True)
        return inside & _ENDS[before] | (count[index] > 1)

    def _operands(self, code: Bytes, disp: I64, address: int) -> _Candidates:
        at = self._near(code, disp, 0xC7, 0x05)
        at = at[at >= 7]
        target = disp[at] + (at + (address + 4))
        fits = (target >= self._low) & (target < self._high)
        at, target = at[fits], target[fits]
        modrm, op, before, third, fourth, sixth = (code[at - k] for k in (1, 2, 3, 4, 5, 6))
        entry = np.where(before == 0x0F, _TWO[op], _ONE[op])
        reg = modrm & 0x38
        entry[_ONLY_ZERO[op] & (reg != 0) & (before != 0x0F)] = 0
        entry[((op == 0xFE) & (reg > 8) | (op == 0xFF) & (reg == 0x38)) & (before != 0x0F)] = 0
        test = ((op == 0xF6) | (op == 0xF7)) & (before != 0x0F) & ((reg & 0x30) != 0)
        entry[test] = PC4 + 1
        entry[(before == 0x66) & (entry == PC4 + 4) & (op != 0xF7)] = PC4 + 3
        vex = (third == 0xC5) | (fourth == 0xC4) & (third & 31 == 1)
        vex |= (sixth == 0x62) & (fourth & 7 == 1)
        entry = np.where((entry == 0) & vex, _TWO[op], entry)
        long = (third == 0x0F) & (before == 0x38) | (fourth == 0xC4) & (third & 31 == 2)
        long |= (sixth == 0x62) & (fourth & 7 == 2)
        entry[(entry == 0) & long] = PC4 + 1
        long = (third == 0x0F) & (before == 0x3A) | (fourth == 0xC4) & (third & 31 == 3)
        long |= (sixth == 0x62) & (fourth & 7 == 3)
        entry[(entry == 0) & long] = PC4 + 2
        good = entry != 0
        sure = (before & 0xF0 == 0x40) & _COMMON[op] | (before == 0x0F) | vex
        kind = entry[good] - 1
        rank = np.where(sure[good], 0, 1)
        return at[good], kind, target[good] + _IMMEDIATE[kind], rank


def _set(*values: int) -> Bool:
    out = np.zeros(256, np.bool_)
    out[list(values)] = True
    return out


_ENDS = _set(0xC3, 0xCC, 0x90, 0x0B)
"""Last byte before a function: RET, INT3, NOP, UD2."""
_COMMON = _set(0x03, 0x2B, 0x39, 0x3B, 0x63, 0x81, 0x83, 0x85, 0x89, 0x8B, 0x8D, 0xC7)
"""Opcodes that hardly occur by chance after a REX prefix."""
_ONLY_ZERO = _set(0xC6, 0xC7)
"""Opcodes that require a zero in ModRM.reg."""
_IMMEDIATE = np.array([0, 0, 1, 2, 4], np.int64)
"""Per PC kind the bytes between the disp32 and the end of the instruction."""


def _winners(pos: I64, rank: I64) -> Bool:
    """Return which candidates, sorted by position, are kept; the module states the rule."""
    keep = np.ones(len(pos), np.bool_)
    for step in (1, 2, 3):
        close = pos[step:] - pos[:-step] < 4
        keep[step:] &= ~(close & (rank[:-step] <= rank[step:]))
        keep[:-step] &= ~(close & (rank[step:] < rank[:-step]))
    return keep
