"""References in AArch64 machine code (Arm Architecture Reference Manual, C4.1 and C6.2).

Every word is an instruction, so nothing is guessed: B, BL, B.cond, CBZ/CBNZ, TBZ/TBNZ, ADR, LDR
(literal), and ADRP with the ADD or LDR/STR (immediate) that completes its address. Such a partner
is searched in the 12 words after the ADRP; the first ADRP before it that sets the partner's base
register counts. So a result depends only on the 12 words before it.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes
from repoint.delta.elf.common.layout import Layout, Section
from repoint.delta.elf.references.kinds import ADR, ADRP, IMM14, IMM19, IMM26, LOW0

_BACK = 12
"""The largest distance between an ADRP and its partner, in words."""


class Arm64Scanner:
    """Finds references block by block in one code section."""

    def __init__(self, data: Bytes, layout: Layout, section: Section) -> None:
        skip = -section.addr & 3
        self._skip = skip
        count = (section.size - skip) // 4
        start = section.offset + skip
        self._code = np.ndarray((count,), "<u4", data, start) if count > 0 else np.zeros(0, "<u4")
        self._addr = section.addr + skip
        self._low, self._high = layout.low, layout.high

    def scan(self, start: int, end: int) -> tuple[I64, Bytes, I64]:
        """Return (section offset, kind, target) of the references that start in [start, end)."""
        first = max(0, -(-(start - self._skip) // 4))
        last = min(len(self._code), max(0, -(-(end - self._skip) // 4)))
        low = max(0, first - _BACK)
        code = self._code[low:last].astype(np.int64)
        address_of = self._addr + 4 * np.arange(low, low + len(code), dtype=np.int64)
        kind = np.full(len(code), 255, np.uint8)
        target = np.zeros(len(code), np.int64)

        def record(hit: I64, code_kind: int, goal: I64) -> None:
            good = (goal >= self._low) & (goal < self._high)
            kind[hit[good]] = code_kind
            target[hit[good]] = goal[good]

        top = code >> 24
        hit = np.flatnonzero(code & 0x7C000000 == 0x14000000)
        record(hit, IMM26, address_of[hit] + (((code[hit] & 0x3FFFFFF) << 38) >> 36))
        hit = np.flatnonzero(
            (top == 0x54) | (top & 0x7E == 0x34) | (code & 0x3B000000 == 0x18000000)
        )
        record(hit, IMM19, address_of[hit] + (((code[hit] >> 5 & 0x7FFFF) << 45) >> 43))
        hit = np.flatnonzero(top & 0x7E == 0x36)
        record(hit, IMM14, address_of[hit] + (((code[hit] >> 5 & 0x3FFF) << 50) >> 48))
        hit = np.flatnonzero(top & 0x9F == 0x10)
        record(hit, ADR, address_of[hit] + _adr(code[hit]))
        page = np.flatnonzero(top & 0x9F == 0x90)
        self._pages(code, address_of, page, kind, target)
        at = np.flatnonzero(kind != 255)
        at = at[at >= first - low]
        return self._skip + 4 * (at + low), kind[at], target[at]

    def _pages(self, code: I64, address_of: I64, page: I64, kind: Bytes, target: I64) -> None:
        """Record each ADRP and its partners; one without any refers to the start of its page."""
        base = ((address_of[page] >> 12) + _adr(code[page])) << 12
        good = (base >= self._low - 4096) & (base < self._high)
        page, base = page[good], base[good]
        kind[page], target[page] = ADRP, base
        register = code[page] & 31
        is_open = np.ones(len(page), np.bool_)
        has_partner = np.zeros(len(page), np.bool_)
        for step in range(1, _BACK + 1):
            at = page + step
            live = np.flatnonzero(is_open & (at < len(code)))
            word = code[at[live]]
            add = word & 0xFFC00000 == 0x91000000
            load = word & 0x3B000000 == 0x39000000
            uses = (add | load) & (word >> 5 & 31 == register[live]) & (kind[at[live]] == 255)
            u = live[uses]
            w, is_add = word[uses], add[uses]
            wide = (w >> 26 & 1 == 1) & (w >> 23 & 1 == 1)
            scale = np.where(is_add, 0, np.where(wide, 4, w >> 30))
            address = base[u] + ((w >> 10 & 0xFFF) << scale)
            kind[at[u]], target[at[u]] = LOW0 + scale, address
            fresh = u[~has_partner[u]]
            target[page[fresh]] = address[~has_partner[u]]
            has_partner[u] = True
            closes = (word & 0x9F000000 == 0x90000000) & (word & 31 == register[live])
            closes |= uses & (word & 31 == register[live]) & add
            is_open[live[closes]] = False


def _adr(code: I64) -> I64:
    """Return the signed 21-bit immediate of ADR and ADRP."""
    value = (code >> 3 & 0x1FFFFC) | (code >> 29 & 3)
    return (value << 43) >> 43
