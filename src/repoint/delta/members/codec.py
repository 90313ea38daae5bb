"""Encoding and decoding: members are taken out, diffed by other codecs, and put back.

A member that did not change stays in the skeleton, where general codecs copy it. So does a member
that cannot be rebuilt byte for byte.
"""

from __future__ import annotations

import zlib
from typing import NamedTuple

from repoint.delta.codec_selection import smallest
from repoint.delta.codecs.table import CodecTable
from repoint.delta.errors import PatchError
from repoint.delta.members import recipe
from repoint.delta.members.pairing import content_of, pair_members
from repoint.delta.members.rebuild import ZlibSettings, find_settings, inflate, rebuild
from repoint.delta.members.recipe import Member, Part, Piece, Recipe
from repoint.delta.members.scan import FoundMember, find_members

_ELF_MAGIC = b"\x7fELF"
_LARGE = 256 << 10
"""Size of a content in bytes from which it is a part of its own; smaller ones share a part."""


class _Changed(NamedTuple):
    """A new member to encode, the old member to encode it against, and how to rebuild it."""

    new: FoundMember
    old: FoundMember | None
    settings: ZlibSettings | None
    crc: int
    compiled: bool


def encode(old: memoryview, new: memoryview, codecs: CodecTable) -> bytes | None:
    """Return the payload, or None if no member changed that can be rebuilt.

    Args:
        old: The old file.
        new: The new file.
        codecs: The codecs for the contents.
    """
    if not len(old) or _is_compiled(new):
        return None
    members = find_members(new)
    if not members:
        return None
    changed = _rebuildable(new, pair_members(old, new, find_members(old), members))
    if not changed:
        return None
    skeleton = _skeleton(new, changed)
    codec, payload = smallest(codecs, old, memoryview(skeleton))
    parts = [Part(codec, len(payload), len(skeleton), (Piece(0, len(old)),))]
    payloads = [payload]
    groups = _grouped(changed)
    for group in groups:
        pieces = tuple(_piece(each) for each in dict.fromkeys(c.old for c in group) if each)
        content = b"".join(content_of(new, each.new) for each in group)
        codec, payload = smallest(codecs, _old_content(old, pieces), memoryview(content))
        parts.append(Part(codec, len(payload), len(content), pieces))
        payloads.append(payload)
    number = {each: i for i, group in enumerate(groups, 1) for each in group}
    entries, at = [], 0
    for each in changed:
        entries.append(_entry(each, each.new.start - at, number[each]))
        at = each.new.start + each.new.length
    return recipe.dump(Recipe(tuple(parts), tuple(entries)), payloads)


def decode(old: memoryview, payload: memoryview, new: memoryview, codecs: CodecTable) -> None:
    """Fill `new`; the payload may be hostile.

    Args:
        old: The old file.
        payload: The payload.
        new: The output, as long as declared.
        codecs: The codecs that parts may use.

    Raises:
        PatchError: The payload is damaged, or made for other files.
    """
    plan, payloads = recipe.load(payload, len(old), len(new))
    starts, at = [], 0
    for member in plan.members:
        at += member.gap
        starts.append(at)
        at += member.length
    skeleton = _decoded(old, plan.parts[0], payloads[0], codecs)
    taken = filled = 0
    for member, start in zip(plan.members, starts, strict=True):
        new[filled:start] = skeleton[taken : taken + member.gap]
        taken += member.gap
        filled = start + member.length
    new[filled:] = skeleton[taken:]
    del skeleton
    members_of: dict[int, list[tuple[Member, int]]] = {}
    for member, start in zip(plan.members, starts, strict=True):
        members_of.setdefault(member.part, []).append((member, start))
    for number, part in enumerate(plan.parts[1:], 1):
        content, used = _decoded(old, part, payloads[number], codecs), 0
        for member, start in members_of[number]:
            piece = bytes(content[used : used + member.size])
            used += member.size
            new[start : start + member.length] = _rebuilt(piece, member)


def _decoded(old: memoryview, part: Part, payload: memoryview, codecs: CodecTable) -> memoryview:
    content = memoryview(bytearray(part.size))
    codecs.named(part.codec).decode(_old_content(old, part.old), payload, content)
    return content


def _old_content(old: memoryview, pieces: tuple[Piece, ...]) -> memoryview:
    """Return the content of the pieces, joined; a single plain piece is not copied."""
    contents = [
        inflate(old[piece.start : piece.start + piece.length], piece.size)
        if piece.size
        else old[piece.start : piece.start + piece.length]
        for piece in pieces
    ]
    return memoryview(contents[0]) if len(contents) == 1 else memoryview(b"".join(contents))


def _rebuilt(content: bytes, member: Member) -> bytes:
    if not member.level:
        return content
    return rebuild(content, ZlibSettings(member.level, member.memory), member.length, member.crc)


def _rebuildable(
    new: memoryview, pairs: list[tuple[FoundMember, FoundMember | None]]
) -> list[_Changed]:
    """Return the members that can be rebuilt, up to the work that a recipe may ask for."""
    kept: list[_Changed] = []
    likely: ZlibSettings | None = None
    spent = 0
    for member, old in pairs:
        if member.size + (old.size if old else 0) > recipe.LARGEST_PART:
            continue
        packed = new[member.start : member.start + member.length]
        if not member.packed:
            kept.append(_Changed(member, old, None, 0, _is_compiled(packed)))
            continue
        try:
            content = content_of(new, member)
            settings = find_settings(content, packed, likely)
        except PatchError:
            continue
        cost = recipe.work(member.size, settings.level) if settings else 0
        if settings and spent + cost <= recipe.most_work(len(new)):
            spent, likely = spent + cost, settings
            crc = zlib.crc32(packed)
            kept.append(_Changed(member, old, settings, crc, _is_compiled(content)))
    return kept


def _is_compiled(data: bytes | memoryview) -> bool:
    return bytes(data[:4]) == _ELF_MAGIC


def _grouped(changed: list[_Changed]) -> list[list[_Changed]]:
    """Return the members by part: compiled and large ones alone, others together."""
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
    """Return the new file without the changed members."""
    pieces, at = [], 0
    for each in changed:
        pieces.append(new[at : each.new.start])
        at = each.new.start + each.new.length
    return b"".join([*pieces, new[at:]])


def _piece(member: FoundMember) -> Piece:
    return Piece(member.start, member.length, member.size if member.packed else 0)


def _entry(each: _Changed, gap: int, part: int) -> Member:
    settings = each.settings or ZlibSettings(0, 8)
    return Member(
        gap, each.new.length, part, each.new.size, settings.level, settings.memory, each.crc
    )
