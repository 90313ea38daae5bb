"""What the bytes of a payload are spent on: by stream, and by section of the new file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from repoint.delta.elf.common import layout
from repoint.delta.elf.common.arrays import I64
from repoint.delta.elf.decode import decode
from repoint.delta.elf.payload import streams
from repoint.delta.elf.payload.columns import unpack
from repoint.delta.elf.payload.records import read_copies, read_cuts, read_swaps, sent_ranges
from repoint.delta.elf.prediction.predict import used_references


class StreamAccount(NamedTuple):
    """One stream of a payload: its size in bytes, and its stored size."""

    stream: str
    raw: int
    stored: int


class SectionAccount(NamedTuple):
    """How well one section of the new file was predicted.

    Attributes:
        section: Its name; ``(elsewhere)`` for the bytes between sections.
        size: Its bytes in the file.
        references: Number of predicted references.
        corrected: Number of predicted references that the patch corrects.
        residual: Other bytes that the prediction missed.
        new: Bytes that are sent unchanged.
    """

    section: str
    size: int
    references: int
    corrected: int
    residual: int
    new: int


def by_stream(payload: bytes, new_size: int) -> tuple[StreamAccount, ...]:
    """Return the streams of a payload in their order; small ones are stored together."""
    return tuple(StreamAccount(*row) for row in streams.sizes(payload, new_size))


def by_section(old: memoryview, payload: bytes, new_size: int) -> tuple[SectionAccount, ...]:
    """Return how well each section was predicted.

    Raises:
        PatchError: The payload is damaged, or made for another old file.
    """
    data = np.frombuffer(old, np.uint8)
    new = np.zeros(new_size, np.uint8)
    decode(data, payload, new)
    loaded = streams.load(payload, new_size)
    old_layout = layout.parse(data)
    copies = read_copies(loaded, len(data), new_size)
    cuts, shift = read_cuts(loaded)
    used = used_references(data, old_layout, copies, cuts, shift)
    references = np.concatenate([np.zeros(0, np.int64), *(portion.pos for portion in used)])
    corrected = references[_indices(loaded.fix_gap)]
    starts, ends = sent_ranges(copies, read_swaps(loaded, new_size), new_size)
    rows = []
    left = [
        new_size, len(references), len(corrected), len(loaded.rest_value), len(loaded.new_bytes)
    ]  # fmt: skip
    try:
        sections = layout.parse(new).sections
    except layout.UnsupportedFileError:
        sections = ()
    for section in sections:
        low, high = section.offset, section.offset + section.size
        if section.size == 0:
            continue
        counts = [
            section.size,
            _count(references, low, high),
            _count(corrected, low, high),
            _count(_indices(loaded.rest_gap), low, high),
            int(np.maximum(np.minimum(ends, high) - np.maximum(starts, low), 0).sum()),
        ]
        left = [a - b for a, b in zip(left, counts, strict=True)]
        rows.append(SectionAccount(section.name or "(no name)", *counts))
    if any(left):
        rows.append(SectionAccount("(elsewhere)", *left))
    return tuple(rows)


def _indices(gaps: bytes) -> I64:
    return np.cumsum(unpack(gaps) + 1) - 1


def _count(offsets: I64, low: int, high: int) -> int:
    """Return how many offsets lie in [low, high)."""
    return int(((offsets >= low) & (offsets < high)).sum())
