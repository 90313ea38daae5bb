"""Images: files whose references are replaced by labels, so that equal code is equal bytes.

Only the encoder uses images. Nothing here is part of the format.
"""

import zlib

import numpy as np

from repoint.delta.elf.common.arrays import I64, U64, Bytes, words
from repoint.delta.elf.common.layout import SHT_RELA, Layout
from repoint.delta.elf.references.kinds import (
    BACK32,
    INDEX4,
    INDEX32,
    KINDS,
    SYMBOL_SIZE,
    Refs,
    Rule,
    groups,
    write_field,
)

_MULTIPLY = np.uint64(0x9E3779B97F4A7C15)
_SECOND = np.uint64(0xC2B2AE3D27D4EB4F)
"""Odd 64-bit constants: 2**64 over the golden ratio, and a prime of xxHash. Any odd ones do."""


def mix(value: U64) -> U64:
    """Scatter the bits of 64-bit numbers."""
    value = (value ^ (value >> np.uint64(31))) * _MULTIPLY
    return (value ^ (value >> np.uint64(29))) * _SECOND


def labelled(data: Bytes, refs: Refs, label: U64) -> Bytes:
    """Return a copy of the file with each reference's field replaced by bits of its label."""
    image = np.array(data)
    for code, index in groups(refs.kind):
        k = KINDS[code]
        bits = np.uint64((1 << k.bits) - 1)
        write_field(image, k, code, refs.pos[index], (label[index] >> np.uint64(20)) & bits)
    return image


def fingerprints(data: Bytes, layout: Layout, refs: Refs) -> U64:
    """Return labels made from the bytes at each target, with the references there masked.

    There are two passes: the second sees through one level of pointers (procedure linkage,
    vtables). A slot that the dynamic linker fills with the address of a symbol is labelled by the
    name of the symbol.
    """
    address, name = _slots(data, layout)
    at = layout.offset(address)
    inside = (at >= 0) & (at + 8 <= len(data))
    label = _shape(refs)
    for _ in range(2):
        image = labelled(data, refs, label)
        words(image, "<u8")[at[inside]] = name[inside]
        label = _content(image, layout, refs, address, name)
    return label


def _slots(data: Bytes, layout: Layout) -> tuple[I64, U64]:
    """Return (address, hash of the symbol's name) of relocations with a symbol, by address."""
    address, name = [np.zeros(0, np.int64)], [np.zeros(0, np.uint64)]
    for s in layout.sections:
        if s.kind != SHT_RELA or not s.loaded or s.link >= len(layout.sections):
            continue
        table = layout.sections[s.link]
        strings = layout.sections[table.link] if table.link < len(layout.sections) else table
        row = data[s.offset : s.offset + s.size // 24 * 24].view("<i8").reshape(-1, 3)
        symbol = row[:, 1] >> 32
        named = (symbol > 0) & (symbol < table.size // SYMBOL_SIZE)
        which, inverse = np.unique(symbol[named], return_inverse=True)
        offset = words(data, "<u4")[table.offset + which * SYMBOL_SIZE]
        text = bytes(data[strings.offset : strings.offset + strings.size])
        crc = [zlib.crc32(text[o : text.find(b"\0", o)]) for o in offset.tolist()]
        address.append(row[named, 0])
        name.append(mix(np.array(crc, np.uint64))[inverse])
    address_of_slot, first = np.unique(np.concatenate(address), return_index=True)
    return address_of_slot, np.concatenate(name)[first]


def _shape(refs: Refs) -> U64:
    """Return a label per kind: all that is known of a reference whose target is unknown."""
    return mix(refs.kind.astype(np.uint64) + np.uint64(1))


def _content(image: Bytes, layout: Layout, refs: Refs, slots: I64, name: U64) -> U64:
    label = _shape(refs)
    step = 1 << 20
    eight = words(image, "<u8")
    for a in range(0, len(refs), step):
        part = slice(a, a + step)
        target = refs.target[part]
        at = layout.offset(target)
        fits = (at >= 0) & (at + 16 <= len(image))
        value = np.zeros(len(at), np.uint64)
        value[fits] = mix(eight[at[fits]]) + eight[at[fits] + 8]
        if len(slots):
            slot = np.minimum(np.searchsorted(slots, target), len(slots) - 1)
            value = np.where(slots[slot] == target, name[slot], value)
        label[part] = mix(value ^ label[part])
    for code, index in groups(refs.kind):
        if KINDS[code].rule is Rule.BASED or code == BACK32:
            label[index] = _relative(refs, index, label)
    return label


def _relative(refs: Refs, index: I64 | slice, label: U64) -> U64:
    """Return labels of sizes and table offsets: sizes by value, offsets by target content."""
    kind = refs.kind[index]
    size = refs.target[index] - refs.base[index]
    small = (size < 1 << 16) & (size >= 0) & (kind != INDEX32) & (kind != INDEX4)
    exact = mix(size.view(np.uint64) ^ kind.astype(np.uint64))
    return np.where(small & (kind != BACK32), exact, label[index])


def target_labels(refs: Refs, target: I64) -> U64:
    """Return labels made from targets in the new file: equal where a prediction is right."""
    return mix(target.view(np.uint64) * np.uint64(2 * len(KINDS)) + refs.kind.astype(np.uint64))
