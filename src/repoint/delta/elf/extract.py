"""All references of a file, in the frozen order that patches count on.

First the code, in blocks of `BLOCK` bytes of file offset; then, as one batch, everything found in
tables (which needs the whole code to have been seen, for the jump tables).
"""

from collections.abc import Iterator

import numpy as np

from repoint.delta.elf import arm64, debug, gotable, jumps, tables, unwind, x86
from repoint.delta.elf.arrays import I64, Bytes
from repoint.delta.elf.kinds import Refs, join
from repoint.delta.elf.layout import AARCH64, X86_64, Layout, Section

BLOCK = 1 << 18
"""Bytes of code scanned at a time; part of the format because it orders the references."""


class Extractor:
    """Yields the references of one file; `blocks` must be used up before `rest` is asked for."""

    def __init__(self, data: Bytes, layout: Layout) -> None:
        self._data, self._layout = data, layout
        self._bases: list[tuple[I64, I64]] = []

    def blocks(self) -> Iterator[tuple[int, int, Refs]]:
        """(start, end, references) of every block of code, by file offset."""
        end = 0
        code = sorted((s for s in self._layout.sections if s.executable), key=lambda s: s.offset)
        for s in code:
            if s.offset >= end:
                end = s.offset + s.size
                yield from self._section(s)

    def _section(self, s: Section) -> Iterator[tuple[int, int, Refs]]:
        scanner = (arm64 if self._layout.machine == AARCH64 else x86).Scanner(
            self._data, self._layout, s
        )
        start = s.offset
        while start < s.offset + s.size:
            end = min((start // BLOCK + 1) * BLOCK, s.offset + s.size)
            pos, kind, target = scanner.scan(start - s.offset, end - s.offset)
            pos = pos + s.offset
            if self._layout.machine == X86_64:
                lea = self._data[pos - 2] == 0x8D
                found = jumps.starts(self._data, self._layout, pos[lea], target[lea])
                self._bases.append(found)
            yield start, end, Refs(pos, target, kind, np.zeros(len(pos), np.int64))
            start = end

    def rest(self) -> Refs:
        """Return the references outside code."""
        data, layout = self._data, self._layout
        none = np.zeros(0, np.int64)
        base = np.concatenate([none, *(b for b, _ in self._bases)])
        site = np.concatenate([none, *(s for _, s in self._bases)])
        return join(
            [
                *tables.relocations(data, layout),
                *tables.relative_words(data, layout),
                *tables.symbols(data, layout),
                *tables.linkage(data, layout),
                *tables.hash_table(data, layout),
                *tables.dynamic(data, layout),
                *unwind.frames(data, layout),
                *unwind.frame_index(data, layout),
                jumps.tables(data, layout, base, site),
                *gotable.go(data, layout),
                *tables.plain_pointers(data, layout),
                *debug.debug(data, layout),
            ]
        )


def everything(data: Bytes, layout: Layout) -> Refs:
    """All references of a file at once (the encoder's view)."""
    work = Extractor(data, layout)
    parts = [refs for _, _, refs in work.blocks()]
    return join([*parts, work.rest()])
