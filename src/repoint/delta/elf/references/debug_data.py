"""References in uncompressed debug data (DWARF 2 to 5), found without parsing it.

Addresses are eight bytes wide with several high zero bytes, and offsets of strings point behind a
zero byte of a large table. Both are so rare by chance that every position can be tested.
"""

import numpy as np

from repoint.delta.elf.common.arrays import Bytes, words
from repoint.delta.elf.common.layout import SHF_COMPRESSED, Layout, Section
from repoint.delta.elf.references.kinds import ABS64, BASED32, Refs, make_refs

_STEP = 1 << 18
_TEXT_USERS = {
    ".debug_str": (".debug_info", ".debug_types", ".debug_str_offsets", ".debug_macro"),
    ".debug_line_str": (".debug_line", ".debug_info"),
}
"""String table -> sections with offsets into it."""


def debug(data: Bytes, layout: Layout) -> list[Refs]:
    """Return code addresses in `.debug_*`, then offsets into the tables of debug strings."""
    return [*_addresses(data, layout), *_strings(data, layout)]


def _readable(layout: Layout, name: str) -> Section | None:
    s = layout.named(name)
    return None if s is None or s.loaded or s.flags & SHF_COMPRESSED or s.size < 8 else s


def _addresses(data: Bytes, layout: Layout) -> list[Refs]:
    code = [s for s in layout.sections if s.executable]
    low, high = max(256, min(s.addr for s in code)), max(s.addr + s.size for s in code)
    found = []
    for s in layout.sections:
        if not s.name.startswith(".debug_") or _readable(layout, s.name) is not s:
            continue
        if s.name in _TEXT_USERS:
            continue
        part = data[s.offset : s.offset + s.size]
        hits = []
        for start in range(0, s.size, _STEP):
            value = words(part[start : start + _STEP + 7], "<i8")
            hits.append(np.flatnonzero((value >= low) & (value <= high)) + start)
        at = np.concatenate(hits)
        at = at[np.diff(at, prepend=-8) >= 8]
        found.append(make_refs(at + s.offset, words(part, "<i8")[at].astype(np.int64), ABS64))
    return found


def _strings(data: Bytes, layout: Layout) -> list[Refs]:
    found = []
    for table, users in _TEXT_USERS.items():
        text = _readable(layout, table)
        if text is None:
            continue
        content = data[text.offset : text.offset + text.size]
        for name in users:
            s = _readable(layout, name)
            if s is not None:
                found.append(_offsets(data, s, text, content))
    return found


def _offsets(data: Bytes, s: Section, text: Section, content: Bytes) -> Refs:
    part = data[s.offset : s.offset + s.size]
    value = words(part, "<u4")
    hits = []
    for start in range(0, len(value), _STEP):
        piece = value[start : start + _STEP]
        at = np.flatnonzero((piece > 0) & (piece < text.size))
        hits.append(at[content[piece[at].astype(np.int64) - 1] == 0] + start)
    at = np.concatenate(hits)
    at = at[np.diff(at, prepend=-4) >= 4]
    return make_refs(at + s.offset, value[at].astype(np.int64) + text.addr, BASED32, text.addr)
