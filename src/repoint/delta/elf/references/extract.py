"""All references of a file, in the order on which patches count.

First the code, in blocks of `BLOCK` bytes of file offset. Then, as one batch, everything found in
tables; the jump tables among them need the whole code to have been scanned.
"""

from collections.abc import Iterator

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes
from repoint.delta.elf.common.layout import AARCH64, X86_64, Layout, Section
from repoint.delta.elf.references import (
    debug_data,
    go_tables,
    jump_tables,
    linker_tables,
    unwind,
)
from repoint.delta.elf.references.arm64 import Arm64Scanner
from repoint.delta.elf.references.kinds import Refs, join
from repoint.delta.elf.references.x86 import X86Scanner

BLOCK = 1 << 18
"""Bytes of code scanned at a time. Part of the format, because it orders the references."""


class Extractor:
    """Yields the references of one file; exhaust `blocks` before calling `rest`."""

    def __init__(self, data: Bytes, layout: Layout) -> None:
        self._data, self._layout = data, layout
        self._jump_bases: list[tuple[I64, I64]] = []

    def blocks(self) -> Iterator[tuple[int, int, Refs]]:
        """Yield (start, end, references) of every block of code, by file offset."""
        end = 0
        code = sorted((s for s in self._layout.sections if s.executable), key=lambda s: s.offset)
        for section in code:
            if section.offset >= end:
                end = section.offset + section.size
                yield from self._section(section)

    def _section(self, s: Section) -> Iterator[tuple[int, int, Refs]]:
        kind_of_scanner = Arm64Scanner if self._layout.machine == AARCH64 else X86Scanner
        scanner = kind_of_scanner(self._data, self._layout, s)
        start = s.offset
        while start < s.offset + s.size:
            end = min((start // BLOCK + 1) * BLOCK, s.offset + s.size)
            pos, kind, target = scanner.scan(start - s.offset, end - s.offset)
            pos = pos + s.offset
            if self._layout.machine == X86_64:
                lea = self._data[pos - 2] == 0x8D
                bases = jump_tables.starts(self._data, self._layout, pos[lea], target[lea])
                self._jump_bases.append(bases)
            yield start, end, Refs(pos, target, kind, np.zeros(len(pos), np.int64))
            start = end

    def rest(self) -> Refs:
        """Return the references outside of code."""
        data, layout = self._data, self._layout
        none = np.zeros(0, np.int64)
        base = np.concatenate([none, *(base for base, _ in self._jump_bases)])
        site = np.concatenate([none, *(site for _, site in self._jump_bases)])
        return join(
            [
                *linker_tables.relocations(data, layout),
                *linker_tables.relative_words(data, layout),
                *linker_tables.symbols(data, layout),
                *linker_tables.linkage(data, layout),
                *linker_tables.hash_table(data, layout),
                *linker_tables.dynamic(data, layout),
                *unwind.frames(data, layout),
                *unwind.frame_index(data, layout),
                jump_tables.entries(data, layout, base, site),
                *go_tables.go(data, layout),
                *linker_tables.plain_pointers(data, layout),
                *debug_data.debug(data, layout),
            ]
        )


def all_references(data: Bytes, layout: Layout) -> Refs:
    """Return all references of a file at once, for the encoder."""
    extractor = Extractor(data, layout)
    parts = [refs for _, _, refs in extractor.blocks()]
    return join([*parts, extractor.rest()])
