"""Where the bytes of a payload go: by stream, and by section of the new file."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from repoint.delta.elf import layout, streams
from repoint.delta.elf.arrays import I64
from repoint.delta.elf.columns import unpack
from repoint.delta.elf.decode import decode, fresh_ranges, read_copies, read_cuts, read_swaps
from repoint.delta.elf.predict import used


class StreamAccount(NamedTuple):
    """One stream of a payload: its bytes as they are, and as they are stored."""

    stream: str
    raw: int
    stored: int


class SectionAccount(NamedTuple):
    """What the prediction makes of one section of the new file.

    Attributes:
        section: Its name; ``(elsewhere)`` for what lies between sections.
        size: Its bytes in the file.
        references: References that were predicted.
        corrected: Predictions of references that the patch has to correct.
        residual: Other bytes that the prediction missed.
        new: Bytes that are sent as they are.
    """

    section: str
    size: int
    references: int
    corrected: int
    residual: int
    new: int


def by_stream(payload: bytes, new_size: int) -> tuple[StreamAccount, ...]:
    """The streams of a payload, in their order; small ones are stored together."""
    return tuple(StreamAccount(*row) for row in streams.sizes(payload, new_size))


def by_section(old: memoryview, payload: bytes, new_size: int) -> tuple[SectionAccount, ...]:
    """What the prediction makes of each section.

    Raises:
        PatchError: The payload is damaged, or made for another old file.
    """
    data = np.frombuffer(old, np.uint8)
    new = np.zeros(new_size, np.uint8)
    decode(data, payload, new)
    parts = streams.load(payload, new_size)
    old_layout = layout.parse(data)
    copies = read_copies(parts, len(data), new_size)
    cuts, shift = read_cuts(parts)
    place = np.concatenate(
        [np.zeros(0, np.int64), *(use.pos for use in used(data, old_layout, copies, cuts, shift))]
    )
    fixed = place[_indices(parts.fix_gap)]
    starts, ends = fresh_ranges(copies, read_swaps(parts, new_size), new_size)
    rows = []
    left = [new_size, len(place), len(fixed), len(parts.rest_value), len(parts.new_bytes)]
    try:
        sections = layout.parse(new).sections
    except layout.NotSupported:
        sections = ()
    for section in sections:
        low, high = section.offset, section.offset + section.size
        if section.size == 0:
            continue
        counts = [
            section.size,
            _within(place, low, high),
            _within(fixed, low, high),
            _within(_indices(parts.rest_gap), low, high),
            int(np.maximum(np.minimum(ends, high) - np.maximum(starts, low), 0).sum()),
        ]
        left = [a - b for a, b in zip(left, counts, strict=True)]
        rows.append(SectionAccount(section.name or "(no name)", *counts))
    if any(left):
        rows.append(SectionAccount("(elsewhere)", *left))
    return tuple(rows)


def _indices(gaps: bytes) -> I64:
    return np.cumsum(unpack(gaps) + 1) - 1


def _within(places: I64, low: int, high: int) -> int:
    return int(((places >= low) & (places < high)).sum())
