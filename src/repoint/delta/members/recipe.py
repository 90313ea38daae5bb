"""What a payload of codec `members` says before its parts; validated before anything is done.

| bytes | what |
|---|---|
| 4 | n: length of the recipe as stored, little-endian |
| 4 | length of the recipe once decompressed, little-endian |
| n | the recipe: one zstd frame with its content size, over MessagePack arrays |
|   | the payloads of the parts, back to back, in their order; nothing after the last |

The new file is its *skeleton*, which is part 0, with the members put in: before each member come
`gap` bytes of the skeleton, and behind the last one what is left of it.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec

from repoint.delta.errors import PatchError

_PREAMBLE = struct.Struct("<II")
_LONGEST = 64 << 20
_PER_BYTE = 200
"""How much longer than as stored a recipe may be: arrays of members of one kind are much alike."""
LARGEST_PART = 96 << 20
"""Bytes of the old and new contents of a part together: they are held in memory."""
_MOST_WORK = 32 << 20
_WORK_PER_BYTE = 32
_SPARE_WORK = 64 << 10

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=(1 << 62) - 1)]


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes of the old file: as they are, or what a raw DEFLATE stream holds.

    Attributes:
        start, length: Where they are.
        size: How long they are once inflated; 0 for bytes as they are.
    """

    start: _Count
    length: _Count
    size: _Count = 0


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Contents that are encoded together, by one codec against one old content.

    Attributes:
        codec: Any codec but `members`.
        length: Of the payload.
        size: Of the content.
        old: What the old content is put together from.
    """

    codec: Annotated[str, msgspec.Meta(max_length=16)]
    length: _Count
    size: _Count
    old: tuple[Piece, ...]


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is to be put into the skeleton.

    Attributes:
        gap: Bytes of the skeleton since the member before.
        length: Bytes that it takes in the new file.
        part: The part whose content its own is the next piece of; part 0 is the skeleton.
        size: Bytes of its content.
        level: zlib's level, from 1 to 9; 0 for a member that is its content.
        memory: zlib's `memLevel`, from 1 to 9.
        crc: CRC-32 of the compressed bytes.
    """

    gap: _Count
    length: _Some
    part: _Some
    size: _Some
    level: Annotated[int, msgspec.Meta(ge=0, le=9)] = 0
    memory: Annotated[int, msgspec.Meta(ge=1, le=9)] = 8
    crc: Annotated[int, msgspec.Meta(ge=0, lt=1 << 32)] = 0


class Recipe(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How the new file is put together."""

    parts: tuple[Part, ...]
    members: tuple[Member, ...]


def work(size: int, level: int) -> int:
    """How much work it is to compress so many bytes again: high levels search longer."""
    return size * (4 if level > 6 else 1 if level else 0)


def most_work(new_size: int) -> int:
    """How much work there may be in one file: as much as a device can do that has no zlib."""
    return min(_MOST_WORK, new_size * _WORK_PER_BYTE + _SPARE_WORK)


def dump(recipe: Recipe, payloads: list[bytes]) -> bytes:
    """A payload."""
    from repoint.delta.zstd import compress

    raw = msgspec.msgpack.encode(recipe)
    stored = compress(raw)
    return b"".join([_PREAMBLE.pack(len(stored), len(raw)), stored, *payloads])


def load(payload: memoryview, old_size: int, new_size: int) -> tuple[Recipe, list[memoryview]]:
    """The recipe and the payloads of its parts.

    Raises:
        PatchError: It is damaged, or not for files of these sizes.
    """
    if len(payload) < _PREAMBLE.size:
        raise PatchError("a recipe of members is truncated")
    stored, length = _PREAMBLE.unpack(payload[: _PREAMBLE.size])
    start = _PREAMBLE.size + stored
    if start > len(payload) or length > min(_LONGEST, 4096 + stored * _PER_BYTE):
        raise PatchError("a recipe of members does not have the length that it says")
    recipe = _parsed(bytes(payload[_PREAMBLE.size : start]), length)
    _check(recipe, old_size, new_size)
    payloads = []
    for part in recipe.parts:
        payloads.append(payload[start : start + part.length])
        start += part.length
    if start != len(payload):
        raise PatchError("the parts of a recipe are not as long as it says")
    return recipe, payloads


def _parsed(stored: bytes, length: int) -> Recipe:
    from repoint.delta.zstd import decompress

    raw = decompress(stored, length, "a recipe of members")
    try:
        return msgspec.msgpack.decode(raw, type=Recipe)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PatchError("a recipe of members is damaged") from error


def _check(recipe: Recipe, old_size: int, new_size: int) -> None:
    parts, members = recipe.parts, recipe.members
    if not parts:
        raise PatchError("a recipe has no skeleton")
    left = [part.size for part in parts]
    left[0] = new_size
    for member in members:
        if member.part >= len(parts):
            raise PatchError("a recipe names a part that it does not have")
        if not member.level and member.length != member.size:
            raise PatchError("a recipe has a member of two lengths")
        left[member.part] -= member.size
        left[0] -= member.length
    if left[0] != parts[0].size or any(left[1:]):
        raise PatchError("the members of a recipe are not as long as their parts")
    if sum(member.gap for member in members) > parts[0].size:
        raise PatchError("a recipe has members outside of the skeleton")
    if not all(part.size for part in parts[1:]):
        raise PatchError("a recipe has a part without members")
    if sum(work(member.size, member.level) for member in members) > most_work(new_size):
        raise PatchError("a recipe asks for more work than it may")
    for number, part in enumerate(parts):
        if any(piece.start + piece.length > old_size for piece in part.old):
            raise PatchError("a recipe names bytes outside of the old file")
        old = sum(piece.size or piece.length for piece in part.old)
        if number and old + part.size > LARGEST_PART:
            raise PatchError("a part of a recipe is larger than it may be")
    # The skeleton is made from the old file as it is; what others inflate follows their size.
    if sum(piece.size for piece in parts[0].old) or len(parts[0].old) > 1:
        raise PatchError("a skeleton is made from more than the old file")
    taken = sum(max(piece.size, piece.length) for part in parts[1:] for piece in part.old)
    if taken > 4 * (old_size + new_size) + 64 * new_size + (1 << 20):
        raise PatchError("a recipe takes more from the old file than its new one justifies")
