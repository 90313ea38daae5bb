"""References in `.eh_frame` and `.eh_frame_hdr` (Linux Standard Base, exception frames)."""

import struct
from array import array
from dataclasses import dataclass

import numpy as np

from repoint.delta.elf.common.arrays import I64, Bytes, view, words
from repoint.delta.elf.common.layout import Layout, Section
from repoint.delta.elf.references.kinds import BACK32, BASED32, PC0, Refs, make_refs

_PCREL_SDATA4 = 0x1B


@dataclass(frozen=True)
class _Cie:
    plain: bool
    """True if pc_begin is a PC-relative signed 32-bit number, as all compilers write it."""
    lsda: bool
    """True if entries hold a language-specific data pointer of the same form."""
    personality: int
    """File offset of the personality pointer; 0 if there is none."""


def frames(data: Bytes, layout: Layout) -> list[Refs]:
    """Return pc_begin, range, CIE and LSDA pointer of every entry, and personality pointers."""
    section = layout.named(".eh_frame")
    if section is None or not section.loaded:
        return []
    begin, back, cie, lsda, person = walk(data, section)
    base = section.addr - section.offset
    value = words(data, "<i4")
    found = []
    start = begin + base + value[begin]
    size = words(data, "<u4")[begin + 4].astype(np.int64)
    found.append(make_refs(begin, start, PC0))
    found.append(make_refs(begin + 4, start + size, BASED32, start))
    found.append(make_refs(back, back + base, BACK32, cie + base))
    for pointer in (lsda, person):
        at = pointer[value[pointer] != 0]
        found.append(make_refs(at, at + base + value[at], PC0))
    return found


def walk(data: Bytes, s: Section) -> tuple[I64, I64, I64, I64, I64]:
    """Return file offsets: pc_begin fields, CIE pointers, their CIEs, LSDA and personalities."""
    raw = view(data)
    at, end = s.offset, s.offset + s.size
    cies: dict[int, _Cie] = {}
    begin, back, cie, lsda, person = (array("q") for _ in range(5))
    read = struct.Struct("<Ii").unpack_from
    while at + 8 <= end:
        length, pointer = read(raw, at)
        following = at + 4 + length
        if length < 4 or length >= 0xFFFFFFF0 or following > end:
            break
        if pointer == 0:
            one = cies[at] = _cie(raw[at + 8 : following], at + 8)
            if one.personality:
                person.append(one.personality)
        else:
            owner = at + 4 - pointer
            known = cies.get(owner)
            if known is not None and known.plain and length >= 13:
                begin.append(at + 8)
                back.append(at + 4)
                cie.append(owner)
                if known.lsda and data[at + 16] == 4 and length >= 17:
                    lsda.append(at + 17)
        at = following
    arrays = [np.frombuffer(x, np.int64) for x in (begin, back, cie, lsda, person)]
    return arrays[0], arrays[1], arrays[2], arrays[3], arrays[4]


def _cie(body: memoryview, at: int) -> _Cie:
    """Parse one CIE whose version byte is body[0], at file offset `at`."""
    unknown = _Cie(False, False, 0)
    raw = bytes(body)
    end = raw.find(b"\0", 1)
    if not raw or end < 0 or raw[0] not in (1, 3):
        return unknown
    text = raw[1:end].decode("latin-1")
    if not text.startswith("z"):
        return unknown
    i = end + 1
    for _ in range(2):
        i = _skip(raw, i)
    i = i + 1 if raw[0] == 1 else _skip(raw, i)
    i = _skip(raw, i)
    plain, lsda, personality = False, False, 0
    for letter in text[1:]:
        if i >= len(raw):
            return unknown
        if letter == "R":
            plain = raw[i] == _PCREL_SDATA4
            i += 1
        elif letter == "L":
            lsda = raw[i] == _PCREL_SDATA4
            i += 1
        elif letter == "P":
            if raw[i] & 15 not in (3, 11) or i + 5 > len(raw):
                return unknown
            personality = at + i + 1 if raw[i] & 0x70 == 0x10 else 0
            i += 5
        elif letter not in "SB":
            return unknown
    return _Cie(plain, lsda, personality)


def _skip(raw: bytes, i: int) -> int:
    """Return the index behind the LEB128 number at i."""
    while i < len(raw) and raw[i] & 128:
        i += 1
    return i + 1


def frame_index(data: Bytes, layout: Layout) -> list[Refs]:
    """Return the references of the sorted table of `.eh_frame_hdr`."""
    s = layout.named(".eh_frame_hdr")
    if s is None or s.size < 20 or bytes(data[s.offset : s.offset + 4]) != b"\x01\x1b\x03\x3b":
        return []
    count = int(words(data, "<u4")[s.offset + 8])
    count = min(count, (s.size - 12) // 8)
    value = words(data, "<i4")
    pos = s.offset + 12 + np.arange(2 * count, dtype=np.int64) * 4
    head = np.array([s.offset + 4], np.int64)
    return [
        make_refs(pos, value[pos] + np.int64(s.addr), BASED32, s.addr),
        make_refs(head, value[head] + head + np.int64(s.addr - s.offset), PC0),
    ]
