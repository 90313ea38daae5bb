"""Old file and payload to new file."""

import numpy as np

from repoint.delta.elf.common import layout
from repoint.delta.elf.common.address_map import map_from
from repoint.delta.elf.common.arrays import I64, U64, Bytes
from repoint.delta.elf.common.copies import Copies
from repoint.delta.elf.payload.columns import unpack, unzigzag
from repoint.delta.elf.payload.records import (
    check_range,
    read_copies,
    read_cuts,
    read_derived,
    read_moves,
    read_swaps,
    sent_ranges,
)
from repoint.delta.elf.payload.streams import Streams, load
from repoint.delta.elf.prediction import derived
from repoint.delta.elf.prediction.predict import copy, used_references
from repoint.delta.elf.references.kinds import FIELD_MASK
from repoint.delta.errors import PatchError


def decode(old: Bytes, payload: bytes, new: Bytes) -> None:
    """Fill `new`; the payload may be hostile.

    Raises:
        PatchError: The payload is damaged, or made for other files.
        ValueError, IndexError, OverflowError, TypeError, ArithmeticError: So are its numbers.
    """
    streams = load(payload, len(new))
    try:
        old_layout = layout.parse(old)
    except layout.UnsupportedFileError as error:
        raise PatchError("an ELF delta needs an ELF file as the old file") from error
    copies = read_copies(streams, len(old), len(new))
    cuts, shift = read_cuts(streams)
    move = map_from(copies, old_layout, cuts, shift).changed(*read_moves(streams))
    copy(old, new, copies)
    fixes = _Fixes(unpack(streams.fix_gap), unpack(streams.fix_value))
    for used in used_references(old, old_layout, copies, cuts, shift):
        value = used.values(move)
        keep = fixes.apply(value, FIELD_MASK[used.refs.kind])
        used.write(new, value, keep)
    fixes.finish()
    _put_sent_bytes(new, streams, copies)
    _add_rest(new, streams)
    for rule in read_derived(streams):
        derived.fill(new, rule)


def _put_sent_bytes(new: Bytes, streams: Streams, copies: Copies) -> None:
    """Put in the bytes that are sent unchanged."""
    start, end = sent_ranges(copies, read_swaps(streams, len(new)), len(new))
    if int((end - start).sum()) != len(streams.new_bytes):
        raise PatchError("new bytes are missing or left over")
    at, sent = 0, np.frombuffer(streams.new_bytes, np.uint8)
    for a, b in zip(start.tolist(), end.tolist(), strict=True):
        new[a:b] = sent[at : at + b - a]
        at += b - a


def _add_rest(new: Bytes, streams: Streams) -> None:
    """Correct single bytes that the prediction missed."""
    gap = unpack(streams.rest_gap)
    value = np.frombuffer(streams.rest_value, np.uint8)
    if len(gap) != len(value):
        raise PatchError("columns of bytes differ in length")
    check_range(gap)
    at = np.cumsum(gap + 1) - 1
    if len(at) and int(at[-1]) >= len(new):
        raise PatchError("a byte lies outside the new file")
    new[at] += value


class _Fixes:
    """Corrections of references, applied in the order in which references are used."""

    def __init__(self, gap: I64, value: I64) -> None:
        if len(gap) != len(value):
            raise PatchError("columns of corrections differ in length")
        check_range(gap)
        self._index = np.cumsum(gap + 1) - 1
        self._value = value
        self._used = 0
        self._applied = 0

    def apply(self, value: U64, mask: U64) -> I64 | slice:
        """Correct the next len(value) references in place; return which of them to write."""
        a = self._applied
        b = int(np.searchsorted(self._index, self._used + len(value)))
        at, code = self._index[a:b] - self._used, self._value[a:b]
        self._used += len(value)
        self._applied = b
        if a == b:
            return slice(None)
        value[at] = (value[at] + unzigzag(code.view(np.uint64)).view(np.uint64)) & mask[at]
        left_alone = at[code == 0]
        if not len(left_alone):
            return slice(None)
        keep = np.ones(len(value), np.bool_)
        keep[left_alone] = False
        return np.flatnonzero(keep)

    def finish(self) -> None:
        """Refuse corrections of references that do not exist."""
        if self._applied != len(self._index):
            raise PatchError("a correction of a reference that does not exist")
