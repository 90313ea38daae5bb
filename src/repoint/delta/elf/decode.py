"""Old file + payload -> new file."""

import numpy as np

from repoint.delta.elf import derived, layout, streams
from repoint.delta.elf.arrays import I64, U64, Bytes
from repoint.delta.elf.columns import unpack, unzigzag
from repoint.delta.elf.kinds import KINDS
from repoint.delta.elf.moves import AddressMap, Copies, map_from
from repoint.delta.elf.predict import copy, used
from repoint.delta.errors import PatchError

_BITS = np.array([k.bits for k in KINDS], np.uint64)
FIELD_MASK = (np.uint64(1) << (_BITS & np.uint64(63))) - np.uint64(1)
"""Per kind the largest number its field can hold (all ones for 64 bits: 1 << 0, minus 1, is 0)."""
FIELD_MASK[_BITS == 64] = np.uint64(0xFFFFFFFFFFFFFFFF)
_LIMIT = 1 << 47
_MAX_DERIVED = 8


def decode(old: Bytes, payload: bytes, new: Bytes) -> None:
    """Fill `new`; anything wrong with the payload is a `PatchError`."""
    parts = streams.load(payload, len(new))
    try:
        old_layout = layout.parse(old)
    except layout.NotSupported as error:
        raise PatchError("an ELF delta against a file that is not ELF") from error
    copies = read_copies(parts, len(old), len(new))
    cuts, shift = read_cuts(parts)
    move = map_from(copies, old_layout, cuts, shift).changed(*read_moves(parts))
    copy(old, new, copies)
    fixes = _Fixes(unpack(parts.fix_gap), unpack(parts.fix_value))
    for use in used(old, old_layout, copies, cuts, shift):
        value = use.values(move)
        keep = fixes.apply(value, FIELD_MASK[use.refs.kind])
        use.write(new, value, keep)
    fixes.finish()
    _fresh(new, parts, copies)
    _rest(new, parts)
    for rule in read_derived(parts):
        derived.fill(new, rule)


def read_copies(parts: streams.Streams, old_size: int, new_size: int) -> Copies:
    """Return the copied ranges, checked against both sizes."""
    gap, length = unpack(parts.copy_gap), unpack(parts.copy_length)
    step = unzigzag(unpack(parts.copy_from).view(np.uint64))
    if not len(gap) == len(length) == len(step):
        raise PatchError("columns of copies differ in length")
    _bounded(gap, length, np.abs(step))
    end = np.cumsum(gap + length)
    new = end - length
    old = np.cumsum(step + np.concatenate([[0], length[:-1]])) if len(step) else step
    if len(end) and (int(end[-1]) > new_size or int(old.min()) < 0 or int(length.min()) < 1):
        raise PatchError("a copy lies outside the files")
    if len(end) and int((old + length).max()) > old_size:
        raise PatchError("a copy lies outside the old file")
    return Copies(new, old, length)


def read_cuts(parts: streams.Streams) -> tuple[I64, I64]:
    """Return the new file's breakpoints of address - offset."""
    rows = unpack(parts.layout)
    cuts, shift = rows[0::2], unzigzag(rows[1::2].view(np.uint64))
    if not len(cuts) or len(cuts) != len(shift) or cuts[0] != 0:
        raise PatchError("the new layout is incomplete")
    _bounded(cuts, np.abs(shift))
    return np.cumsum(cuts), np.cumsum(shift)


def read_moves(parts: streams.Streams) -> tuple[I64, I64, I64]:
    """Return the corrections of the address map."""
    gap, length = unpack(parts.move_gap), unpack(parts.move_length)
    delta = unzigzag(unpack(parts.move_delta).view(np.uint64))
    if not len(gap) == len(length) == len(delta):
        raise PatchError("columns of moves differ in length")
    _bounded(gap, length, np.abs(delta))
    end = np.cumsum(gap + length)
    return end - length, end, delta


def _bounded(*columns: I64) -> None:
    """Refuse numbers whose sums could overflow."""
    for column in columns:
        if len(column) and (int(column.min()) < 0 or int(column.max()) > _LIMIT):
            raise PatchError("a number is out of range")
        if len(column) > 1 << 15 and int(column.astype(np.float64).sum()) > _LIMIT:
            raise PatchError("numbers are out of range")


def read_derived(parts: streams.Streams) -> list[derived.Rule]:
    """Return the parts that follow from others."""
    numbers = unzigzag(unpack(parts.derived).view(np.uint64))
    if len(numbers) % 7 or len(numbers) > 7 * _MAX_DERIVED:
        raise PatchError("derived parts are incomplete")
    _bounded(np.abs(numbers))
    return [(r[0], r[1], r[2], r[3], r[4], r[5], r[6]) for r in numbers.reshape(-1, 7).tolist()]


def read_swaps(parts: streams.Streams, new_size: int) -> tuple[I64, I64]:
    """Ranges [start, end) inside copies whose bytes are sent anew."""
    gap, length = unpack(parts.swap_gap), unpack(parts.swap_length)
    if len(gap) != len(length):
        raise PatchError("columns of swaps differ in length")
    _bounded(gap, length)
    end = np.cumsum(gap + length)
    if len(end) and int(end[-1]) > new_size:
        raise PatchError("a swap lies outside the new file")
    return end - length, end


def fresh_ranges(copies: Copies, swaps: tuple[I64, I64], new_size: int) -> tuple[I64, I64]:
    """All non-empty ranges of the new file that are sent as they are, in their order."""
    start = np.concatenate([[0], copies.new + copies.length, swaps[0]])
    end = np.concatenate([copies.new, [new_size], swaps[1]])
    order = np.argsort(start, kind="stable")
    order = order[end[order] > start[order]]
    return start[order], end[order]


def _fresh(new: Bytes, parts: streams.Streams, copies: Copies) -> None:
    """Put in the bytes that are sent as they are."""
    start, end = fresh_ranges(copies, read_swaps(parts, len(new)), len(new))
    if int((end - start).sum()) != len(parts.new_bytes):
        raise PatchError("new bytes are missing or left over")
    at, fresh = 0, np.frombuffer(parts.new_bytes, np.uint8)
    for a, b in zip(start.tolist(), end.tolist(), strict=True):
        new[a:b] = fresh[at : at + b - a]
        at += b - a


def _rest(new: Bytes, parts: streams.Streams) -> None:
    """Bytes that the prediction missed."""
    gap = unpack(parts.rest_gap)
    value = np.frombuffer(parts.rest_value, np.uint8)
    if len(gap) != len(value):
        raise PatchError("columns of bytes differ in length")
    _bounded(gap)
    at = np.cumsum(gap + 1) - 1
    if len(at) and int(at[-1]) >= len(new):
        raise PatchError("a byte lies outside the new file")
    new[at] += value


class _Fixes:
    """Corrections of references, handed out in the order in which references are used."""

    def __init__(self, gap: I64, value: I64) -> None:
        if len(gap) != len(value):
            raise PatchError("columns of corrections differ in length")
        _bounded(gap)
        self._index = np.cumsum(gap + 1) - 1
        self._value = value
        self._seen = 0
        self._done = 0

    def apply(self, value: U64, mask: U64) -> I64 | slice:
        """Correct the next len(value) references in place; which of them to write at all."""
        a = self._done
        b = int(np.searchsorted(self._index, self._seen + len(value)))
        at, code = self._index[a:b] - self._seen, self._value[a:b]
        self._seen += len(value)
        self._done = b
        if a == b:
            return slice(None)
        value[at] = (value[at] + unzigzag(code.view(np.uint64)).view(np.uint64)) & mask[at]
        off = at[code == 0]
        if not len(off):
            return slice(None)
        keep = np.ones(len(value), np.bool_)
        keep[off] = False
        return np.flatnonzero(keep)

    def finish(self) -> None:
        """Refuse corrections of references that do not exist."""
        if self._done != len(self._index):
            raise PatchError("a correction of a reference that does not exist")


def address_map(
    copies: Copies, old: layout.Layout, cuts: I64, shift: I64, moves: tuple[I64, I64, I64]
) -> AddressMap:
    """Return the complete map of a patch."""
    return map_from(copies, old, cuts, shift).changed(*moves)
