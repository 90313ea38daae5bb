"""Kinds of references: how the address of a target is written into the bytes of a file.

A kind defines the word that holds the reference (4 or 8 bytes), the bits of the word that are the
field, and the number in the field. With t the target, p the reference's own address and b its base
(all unified), the number is

    PC       t - p - bias        RIP-relative operands, calls, pointers in unwind tables
    ABS      t                   relocations, symbols, pointers
    BASED    (t - b) / unit      sizes, offsets into a table, jump tables
    BACK     p - b               the distance from an unwind entry back to its CIE
    PAGE     (t >> 12) - (p >> 12)   AArch64 ADRP (Arm ARM C6.2.11)
    LOW      (t & 4095) >> scale AArch64 ADD and LDR/STR immediate after ADRP

modulo 2**bits. The codes of the kinds (their indexes in `KINDS`) are part of the format.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64, concat, words
from repoint.delta.elf.common.arrays import Bytes as ByteArray


class Rule(IntEnum):
    """The number that a field holds; see the module."""

    PC, ABS, BASED, BACK, PAGE, LOW = range(6)


@dataclass(frozen=True)
class Kind:
    """A kind: a word of `width` bytes with a field of `bits` bits from bit `low` on."""

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
_BITS = np.array([k.bits for k in KINDS], np.uint64)
FIELD_MASK = (np.uint64(1) << (_BITS & np.uint64(63))) - np.uint64(1)
"""Per kind the largest number that its field can hold."""
FIELD_MASK[_BITS == 64] = np.uint64(0xFFFFFFFFFFFFFFFF)
_SPLIT = (ADR, ADRP)
"""Kinds whose field has two parts: bits 29-30 hold the two low bits, bits 5-23 the rest."""


@dataclass(frozen=True)
class Refs:
    """References as columns of equal length, sorted by `pos`."""

    pos: I64
    """File offset of the word."""
    target: I64
    """Unified address of the target."""
    kind: ByteArray
    base: I64
    """Unified base address; 0 for kinds without one."""

    def __len__(self) -> int:
        return len(self.pos)

    def take(self, index: I64) -> "Refs":
        """Return the references at these indexes."""
        return Refs(self.pos[index], self.target[index], self.kind[index], self.base[index])


def make_refs(pos: I64, target: I64, kind: int, base: I64 | int = 0) -> Refs:
    """Return references of one kind; a value that all of them share takes no memory."""
    n = len(pos)
    whole = np.broadcast_to(np.int64(base), n) if isinstance(base, int) else base
    kinds = np.broadcast_to(np.uint8(kind), n)
    return Refs(pos, target.astype(np.int64, copy=False), kinds, whole)


def join(parts: list[Refs]) -> Refs:
    """Return the references of all parts, sorted by position.

    Of two references at one position, the one of the earlier part is kept. The list is emptied on
    the way, so that no column is in memory twice for long.
    """
    pos, target = [p.pos for p in parts], [p.target for p in parts]
    kind, base = [p.kind for p in parts], [p.base for p in parts]
    parts.clear()
    all_pos = _joined(pos, np.int64)
    # The decoder's peak of memory is here; there are fewer than 2**31 references.
    order = np.argsort(all_pos, kind="stable").astype(np.int32)
    all_pos = all_pos[order]
    keep = np.diff(all_pos, prepend=-1) > 0
    order = order[keep]
    all_pos = all_pos[keep]
    return Refs(
        all_pos,
        _joined(target, np.int64)[order],
        _joined(kind, np.uint8)[order],
        _joined(base, np.int64)[order],
    )


def _joined(columns: list[Any], dtype: Any) -> Any:
    whole = concat(columns, dtype)
    columns.clear()
    return whole


def groups(kind: ByteArray) -> list[tuple[int, I64 | slice]]:
    """Return each kind that occurs with the indexes of its references."""
    if not len(kind):
        return []
    if kind[0] == kind[-1] and (kind == kind[0]).all():
        return [(int(kind[0]), slice(None))]
    present = np.flatnonzero(np.bincount(kind, minlength=len(KINDS)))
    return [(int(k), np.flatnonzero(kind == k)) for k in present]


def field_value(k: Kind, target: I64, address: I64, base: I64) -> U64:
    """Return the number in a field of kind `k` at `address` for this target and base."""
    match k.rule:
        case Rule.PC:
            value = (target - address - k.extra) >> k.shift
        case Rule.ABS:
            value = target
        case Rule.BASED:
            value = (target - base) // k.extra if k.extra > 1 else target - base
        case Rule.BACK:
            value = address - base
        case Rule.PAGE:
            value = (target >> 12) - (address >> 12)
        case Rule.LOW:
            value = (target & 4095) >> k.extra
    return value.view(np.uint64) & np.uint64((1 << k.bits) - 1)


def read_field(data: ByteArray, k: Kind, code: int, pos: I64) -> U64:
    """Return the numbers in the fields of kind `k` (with code `code`) at offsets `pos`."""
    word = words(data, "<u8" if k.width == 8 else "<u4")[pos].astype(np.uint64)
    if code in _SPLIT:
        return (word >> np.uint64(29)) & np.uint64(3) | (
            (word >> np.uint64(3)) & np.uint64(0x1FFFFC)
        )
    return (word >> np.uint64(k.low)) & np.uint64((1 << k.bits) - 1)


def write_field(data: ByteArray, k: Kind, code: int, pos: I64, value: U64) -> None:
    """Put numbers into the fields at offsets `pos`; the other bits of the words stay."""
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
