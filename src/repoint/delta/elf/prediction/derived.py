"""Parts of a file that follow from its other bytes, and need not be sent.

    1  the bloom filter, buckets and chains of `.gnu.hash`, from `.dynsym` and `.dynstr`
    2  the search table of `.eh_frame_hdr`, from `.eh_frame`

Each is rebuilt from the finished rest of the new file. The 16 or 12 bytes of its header are sent as
all others are. A patch names a part only if the encoder rebuilt exactly its bytes.
"""

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64, Bytes, words
from repoint.delta.elf.common.layout import SHT_NOBITS, Layout, Section
from repoint.delta.elf.payload.records import DerivedRule
from repoint.delta.elf.references.unwind import walk
from repoint.delta.errors import PatchError

GNU_HASH, FRAME_INDEX = 1, 2
_HEAD = {GNU_HASH: 16, FRAME_INDEX: 12}


def candidates(layout: Layout) -> list[DerivedRule]:
    """Return the rules of what could be derived in a file of this layout.

    The numbers of a rule are its kind, the offset and size of the section, and

        .gnu.hash      offset and size of .dynsym, offset and size of .dynstr
        .eh_frame_hdr  its address, offset and size of .eh_frame, address minus offset of .eh_frame
    """
    found: list[DerivedRule] = []
    table, symbols, names = (layout.named(n) for n in (".gnu.hash", ".dynsym", ".dynstr"))
    if table and symbols and names:
        found.append(
            (GNU_HASH, table.offset, table.size, symbols.offset, symbols.size, names.offset,
             names.size)
        )  # fmt: skip
    table, frames = layout.named(".eh_frame_hdr"), layout.named(".eh_frame")
    if table and frames and frames.kind != SHT_NOBITS:
        shift = frames.addr - frames.offset
        found.append(
            (FRAME_INDEX, table.offset, table.size, table.addr, frames.offset, frames.size, shift)
        )
    return found


def body(rule: DerivedRule) -> tuple[int, int]:
    """Return the range [start, end) that a rule fills in."""
    return min(rule[1] + _HEAD[rule[0]], rule[1] + rule[2]), rule[1] + rule[2]


def fill(new: Bytes, rule: DerivedRule) -> None:
    """Write the derived bytes into `new`.

    Raises:
        PatchError: The other bytes of `new` do not allow that.
    """
    kind, offset, size = rule[:3]
    if kind not in _HEAD or min(rule[:6]) < 0 or offset + size > len(new) or size < _HEAD[kind]:
        raise PatchError("a derived part lies outside the new file")
    start, end = body(rule)
    content = _gnu_hash(new, rule) if kind == GNU_HASH else _frame_index(new, rule)
    if len(content) > end - start:
        raise PatchError("a derived part is longer than its section")
    new[start:end] = 0
    new[start : start + len(content)] = content


def _gnu_hash(new: Bytes, rule: DerivedRule) -> Bytes:
    """Return the body of `.gnu.hash`; glibc reads it in dl-lookup.c, bfd writes it in elflink.c."""
    _, offset, size, sym_at, sym_size, str_at, str_size = rule
    if sym_at + sym_size > len(new) or str_at + str_size > len(new):
        raise PatchError("symbols lie outside the new file")
    buckets, first, bloom, shift = (int(v) for v in new[offset : offset + 16].view("<u4"))
    count = sym_size // 24 - first
    if not buckets or not bloom or count < 0 or shift > 31:
        raise PatchError("a symbol hash table has inconsistent numbers")
    if 16 + 8 * bloom + 4 * buckets + 4 * count > size:
        raise PatchError("a symbol hash table is larger than its section")
    at = sym_at + 24 * (first + np.arange(count, dtype=np.int64))
    name = words(new, "<u4")[at].astype(np.int64)
    value = _hash(new[str_at : str_at + str_size], name, 16 * len(new))
    filter_ = np.zeros(bloom, np.uint64)
    word = ((value >> np.uint64(6)) % np.uint64(bloom)).astype(np.int64)
    for bit in (value & np.uint64(63), (value >> np.uint64(shift)) & np.uint64(63)):
        np.bitwise_or.at(filter_, word, np.uint64(1) << bit)
    slot = (value % np.uint64(buckets)).astype(np.int64)
    if count and (np.diff(slot) < 0).any():
        raise PatchError("symbols are not in the order of their hashes")
    head = np.zeros(buckets, "<u4")
    start = np.flatnonzero(np.diff(slot, prepend=-1))
    head[slot[start]] = start + first
    chain = (value & np.uint64(0xFFFFFFFE)).astype("<u4")
    last = np.flatnonzero(np.diff(slot, append=-1))
    chain[last] |= 1
    return np.concatenate([filter_.view(np.uint8), head.view(np.uint8), chain.view(np.uint8)])


def _hash(text: Bytes, start: I64, budget: int) -> U64:
    """Return the hash of each name: h = 5381, then h = h * 33 + c for each byte, modulo 2**32."""
    value = np.full(len(start), 5381, np.uint64)
    live = np.flatnonzero(start < len(text))
    at = start[live]
    while len(live):
        budget -= len(live)
        if budget < 0:
            raise PatchError("symbol names are too long to hash")
        letter = text[at]
        on = np.flatnonzero(letter)
        live, at = live[on], at[on]
        value[live] = (value[live] * np.uint64(33) + letter[on]) & np.uint64(0xFFFFFFFF)
        at = at + 1
        if len(at) and int(at.max()) >= len(text):
            inside = at < len(text)
            live, at = live[inside], at[inside]
    return value


def _frame_index(new: Bytes, rule: DerivedRule) -> Bytes:
    _, _, _, addr, frame_at, frame_size, shift = rule
    if frame_at + frame_size > len(new):
        raise PatchError("unwind data lies outside the new file")
    section = Section("", 1, 2, frame_at + shift, frame_at, frame_size, frame_size, 0, 0)
    begin = walk(new, section)[0]
    start = words(new, "<i4")[begin] + begin + np.int64(shift - addr)
    order = np.argsort(start, kind="stable")
    rows = np.stack([start[order], begin[order] - 8 + (shift - addr)], 1)
    return rows.astype(np.int32).view(np.uint8).ravel()
