"""The way in: members out of their containers, diffed by the other codecs, and put back.

A member that did not change stays in the skeleton, where general codecs copy it as it is; so does
one that cannot be made again byte for byte.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from repoint.delta.codec_selection import smallest
from repoint.delta.codecs.table import CodecTable
from repoint.delta.errors import PatchError
from repoint.delta.members import recipe
from repoint.delta.members.pairing import content, pairs
from repoint.delta.members.rebuild import ZlibSettings, inflate, rebuild, settings_of
from repoint.delta.members.recipe import Member, Part, Piece, Recipe
from repoint.delta.members.scan import FoundMember, find

_ELF_MAGIC = b"\x7fELF"
_LARGE = 256 << 10
"""Bytes of a content from which it is a part of its own; smaller ones are encoded together."""


class _Changed(NamedTuple):
    new: FoundMember
    old: FoundMember | None
    settings: ZlibSettings | None
    crc: int
    compiled: bool


def encode(old: memoryview, new: memoryview, codecs: CodecTable) -> bytes | None:
    """Return the payload, or None where there is no member that could be made again."""
    if not len(old) or _is_compiled(new):
        return None
    news = find(new)
    if not news:
        return None
    changed = _rebuildable(new, pairs(old, new, find(old), news))
    if not changed:
        return None
    groups = _grouped(changed)
    skeleton = _skeleton(new, changed)
    parts, payloads = [], []
    codec, payload = smallest(codecs, old, memoryview(skeleton))
    parts.append(Part(codec, len(payload), len(skeleton), (Piece(0, len(old)),)))
    payloads.append(payload)
    for group in groups:
        pieces = tuple(_piece(each) for each in dict.fromkeys(c.old for c in group) if each)
        made = b"".join(content(new, each.new) for each in group)
        codec, payload = smallest(codecs, _old_content(old, pieces), memoryview(made))
        parts.append(Part(codec, len(payload), len(made), pieces))
        payloads.append(payload)
    number = {each: i for i, group in enumerate(groups, 1) for each in group}
    members, at = [], 0
    for each in changed:
        members.append(_member(each, each.new.start - at, number[each]))
        at = each.new.start + each.new.length
    return recipe.dump(Recipe(tuple(parts), tuple(members)), payloads)


def decode(old: memoryview, payload: memoryview, new: memoryview, codecs: CodecTable) -> None:
    """Fill the writable ``new`` with the new file.

    Raises:
        PatchError: The payload is damaged, hostile, or made for other files.
    """
    said, payloads = recipe.load(payload, len(old), len(new))
    places, at = [], 0
    for member in said.members:
        at += member.gap
        places.append(at)
        at += member.length
    skeleton = _decoded(old, said.parts[0], payloads[0], codecs)
    taken = filled = 0
    for member, place in zip(said.members, places, strict=True):
        new[filled:place] = skeleton[taken : taken + member.gap]
        taken += member.gap
        filled = place + member.length
    new[filled:] = skeleton[taken:]
    del skeleton
    inside: dict[int, list[tuple[Member, int]]] = {}
    for member, place in zip(said.members, places, strict=True):
        inside.setdefault(member.part, []).append((member, place))
    for number, part in enumerate(said.parts[1:], 1):
        made, used = _decoded(old, part, payloads[number], codecs), 0
        for member, place in inside[number]:
            piece = bytes(made[used : used + member.size])
            used += member.size
            new[place : place + member.length] = _put_back(piece, member)


def _decoded(old: memoryview, part: Part, payload: memoryview, codecs: CodecTable) -> memoryview:
    made = memoryview(bytearray(part.size))
    codecs.named(part.codec).decode(_old_content(old, part.old), payload, made)
    return made


def _old_content(old: memoryview, pieces: tuple[Piece, ...]) -> memoryview:
    """What the pieces hold, one after the other; a single one as it is, without a copy."""
    made = [
        inflate(old[piece.start : piece.start + piece.length], piece.size)
        if piece.size
        else old[piece.start : piece.start + piece.length]
        for piece in pieces
    ]
    return memoryview(made[0]) if len(made) == 1 else memoryview(b"".join(made))


def _put_back(content: bytes, member: Member) -> bytes:
    if not member.level:
        return content
    return rebuild(content, ZlibSettings(member.level, member.memory), member.length, member.crc)


def _rebuildable(
    new: memoryview, found: list[tuple[FoundMember, FoundMember | None]]
) -> list[_Changed]:
    """The members that can be made again, as many as may be."""
    kept: list[_Changed] = []
    likely: ZlibSettings | None = None
    spent = 0
    for member, old in found:
        if member.size + (old.size if old else 0) > recipe.LARGEST_PART:
            continue
        packed = new[member.start : member.start + member.length]
        if not member.packed:
            kept.append(_Changed(member, old, None, 0, _is_compiled(packed)))
            continue
        try:
            unpacked = content(new, member)
            settings = settings_of(unpacked, packed, likely)
        except PatchError:
            continue
        cost = recipe.work(member.size, settings.level) if settings else 0
        if settings and spent + cost <= recipe.most_work(len(new)):
            spent, likely = spent + cost, settings
            crc = zlib.crc32(packed)
            kept.append(_Changed(member, old, settings, crc, _is_compiled(unpacked)))
    return kept


def _is_compiled(made: bytes | memoryview) -> bool:
    return bytes(made[:4]) == _ELF_MAGIC


def _grouped(changed: list[_Changed]) -> list[list[_Changed]]:
    """Compiled and large members alone, the others together as long as memory allows."""
    alone: list[list[_Changed]] = []
    together: list[list[_Changed]] = [[]]
    size = 0
    for each in changed:
        if each.new.size >= _LARGE or each.compiled:
            alone.append([each])
            continue
        weight = each.new.size + (each.old.size if each.old else 0)
        if size + weight > recipe.LARGEST_PART:
            together.append([])
            size = 0
        together[-1].append(each)
        size += weight
    return [group for group in [*together, *alone] if group]


def _skeleton(new: memoryview, changed: list[_Changed]) -> bytes:
    made, at = [], 0
    for each in changed:
        made.append(new[at : each.new.start])
        at = each.new.start + each.new.length
    return b"".join([*made, new[at:]])


def _piece(member: FoundMember) -> Piece:
    return Piece(member.start, member.length, member.size if member.packed else 0)


def _member(each: _Changed, gap: int, part: int) -> Member:
    settings = each.settings or ZlibSettings(0, 8)
    return Member(
        gap, each.new.length, part, each.new.size, settings.level, settings.memory, each.crc
    )
