"""Reference kinds: how a target address is written into a file's bytes.

Each kind says which word holds the reference (4 or 8 bytes), which bits of it are the field, and
what number the field holds. With t the target, p the reference's own address, b its base (all
unified) the number is

    PC       t - p - bias        RIP-relative operands, calls, pointers in unwind tables
    ABS      t                   relocations, symbols, pointers
    BASED    (t - b) / unit      sizes, offsets into a table, jump tables
    BACK     p - b               the distance from an unwind entry back to its CIE
    PAGE     (t >> 12) - (p >> 12)   AArch64 ADRP (Arm ARM C6.2.11)
    LOW      (t & 4095) >> scale AArch64 ADD and LDR/STR immediate after ADRP

modulo 2**bits. The numbers of the kinds are part of the format.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from repoint.delta.elf.arrays import I64, U64, concat, words
from repoint.delta.elf.arrays import Bytes as ByteArray


class Rule(IntEnum):
    """What number a field holds."""

    PC, ABS, BASED, BACK, PAGE, LOW = range(6)


@dataclass(frozen=True)
class Kind:
    """One kind: word `width` in bytes, field `bits` starting at bit `low`, `extra` per rule."""

    rule: Rule
    width: int
    bits: int
    low: int = 0
    extra: int = 0
    """PC: the bias in bytes. BASED: the unit in bytes. LOW: the scale as a shift."""
    shift: int = 0
    """log2 of the distance between two neighbouring field values, in bytes of address."""


PC0, PC4, PC5, PC6, PC8 = 0, 1, 2, 3, 4
ABS64, BASED64, BASED32, BACK32, INDEX32 = 5, 6, 7, 8, 9
IMM26, IMM19, IMM14, ADR, ADRP = 10, 11, 12, 13, 14
LOW0, LOW1, LOW2, LOW3, LOW4 = 15, 16, 17, 18, 19
INDEX4 = 20

SYMBOL_SIZE = 24
KINDS: tuple[Kind, ...] = (
    Kind(Rule.PC, 4, 32, extra=0),
    Kind(Rule.PC, 4, 32, extra=4),
    Kind(Rule.PC, 4, 32, extra=5),
    Kind(Rule.PC, 4, 32, extra=6),
    Kind(Rule.PC, 4, 32, extra=8),
    Kind(Rule.ABS, 8, 64),
    Kind(Rule.BASED, 8, 64, extra=1),
    Kind(Rule.BASED, 4, 32, extra=1),
    Kind(Rule.BACK, 4, 32),
    Kind(Rule.BASED, 4, 32, extra=SYMBOL_SIZE),
    Kind(Rule.PC, 4, 26, shift=2),
    Kind(Rule.PC, 4, 19, low=5, shift=2),
    Kind(Rule.PC, 4, 14, low=5, shift=2),
    Kind(Rule.PC, 4, 21),
    Kind(Rule.PAGE, 4, 21, shift=12),
    Kind(Rule.LOW, 4, 12, low=10, extra=0),
    Kind(Rule.LOW, 4, 12, low=10, extra=1, shift=1),
    Kind(Rule.LOW, 4, 12, low=10, extra=2, shift=2),
    Kind(Rule.LOW, 4, 12, low=10, extra=3, shift=3),
    Kind(Rule.LOW, 4, 12, low=10, extra=4, shift=4),
    Kind(Rule.BASED, 4, 32, extra=4),
)
WIDTH = np.array([k.width for k in KINDS], np.int64)
SHIFT = np.array([k.shift for k in KINDS], np.int64)
_SPLIT = (ADR, ADRP)
"""Kinds whose field lies in two parts: bits 29-30 hold the two low bits, bits 5-23 the rest."""


@dataclass(frozen=True)
class Refs:
    """References as columns of equal length, sorted by `pos`."""

    pos: I64
    """File offset of the word."""
    target: I64
    """Unified address referred to."""
    kind: ByteArray
    base: I64
    """Unified base address (0 for kinds without one)."""

    def __len__(self) -> int:
        return len(self.pos)

    def take(self, index: I64) -> "Refs":
        """Return the references at these indexes."""
        return Refs(self.pos[index], self.target[index], self.kind[index], self.base[index])


def join(parts: list[Refs]) -> Refs:
    """All references of all parts, sorted by position; of two on one byte the earlier part's.

    Takes the list over: it is emptied on the way, so that no column is in memory twice for long.
    """
    pos, target = [p.pos for p in parts], [p.target for p in parts]
    kind, base = [p.kind for p in parts], [p.base for p in parts]
    parts.clear()
    place = _joined(pos, np.int64)
    # Here is the decoder's peak of memory; there are fewer than 2**31 references.
    order = np.argsort(place, kind="stable").astype(np.int32)
    place = place[order]
    keep = np.diff(place, prepend=-1) > 0
    order = order[keep]
    place = place[keep]
    return Refs(
        place,
        _joined(target, np.int64)[order],
        _joined(kind, np.uint8)[order],
        _joined(base, np.int64)[order],
    )


def _joined(columns: list[Any], dtype: Any) -> Any:
    whole = concat(columns, dtype)
    columns.clear()
    return whole


def groups(kind: ByteArray) -> list[tuple[int, I64 | slice]]:
    """Each kind that occurs, with the indexes of its references."""
    if not len(kind):
        return []
    if kind[0] == kind[-1] and (kind == kind[0]).all():
        return [(int(kind[0]), slice(None))]
    present = np.flatnonzero(np.bincount(kind, minlength=len(KINDS)))
    return [(int(k), np.flatnonzero(kind == k)) for k in present]


def field_value(k: Kind, target: I64, place: I64, base: I64) -> U64:
    """Return the number that the field of kind `k` holds for this target, place and base."""
    match k.rule:
        case Rule.PC:
            value = (target - place - k.extra) >> k.shift
        case Rule.ABS:
            value = target
        case Rule.BASED:
            value = (target - base) // k.extra if k.extra > 1 else target - base
        case Rule.BACK:
            value = place - base
        case Rule.PAGE:
            value = (target >> 12) - (place >> 12)
        case Rule.LOW:
            value = (target & 4095) >> k.extra
    return value.view(np.uint64) & np.uint64((1 << k.bits) - 1)


def target_of(k: Kind, value: U64, place: I64, base: I64) -> I64:
    """Return the address a field refers to; inverse of `field_value` (not for LOW and BACK)."""
    spare = np.int64(64 - k.bits)
    signed = (value.view(np.int64) << spare) >> spare
    match k.rule:
        case Rule.PC:
            return (signed << k.shift) + place + k.extra
        case Rule.ABS:
            return value.view(np.int64)
        case Rule.BASED:
            return signed * k.extra + base
        case _:
            return ((place >> 12) + signed) << 12


def read_field(data: ByteArray, k: Kind, code: int, pos: I64) -> U64:
    """Return the field's number as it stands in `data` at `pos`."""
    word = words(data, "<u8" if k.width == 8 else "<u4")[pos].astype(np.uint64)
    if code in _SPLIT:
        return (word >> np.uint64(29)) & np.uint64(3) | (
            (word >> np.uint64(3)) & np.uint64(0x1FFFFC)
        )
    return (word >> np.uint64(k.low)) & np.uint64((1 << k.bits) - 1)


def write_field(data: ByteArray, k: Kind, code: int, pos: I64, value: U64) -> None:
    """Put the field's number into `data` at `pos`; other bits of the word stay."""
    at = words(data, "<u8" if k.width == 8 else "<u4")
    if k.bits == 8 * k.width:
        at[pos] = value
        return
    word = at[pos].astype(np.uint64)
    if code in _SPLIT:
        mask = 0x60FFFFE0
        bits = (value & np.uint64(3)) << np.uint64(29) | (value >> np.uint64(2)) << np.uint64(5)
    else:
        mask = ((1 << k.bits) - 1) << k.low
        bits = value << np.uint64(k.low)
    at[pos] = word & np.uint64(0xFFFFFFFF ^ mask) | bits
