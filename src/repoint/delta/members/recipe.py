"""The recipe at the start of a payload, validated as a whole before any of it is followed.

| bytes | what |
|---|---|
| 4 | n: length of the recipe as stored, little-endian |
| 4 | length of the recipe once decompressed, little-endian |
| n | the recipe: one zstd frame with its content size, over MessagePack arrays |
|   | the payloads of the parts, back to back, in their order; nothing after the last |

The new file is its *skeleton*, which is part 0, with the members inserted: before each member come
`gap` bytes of the skeleton, and after the last one the rest of it.
"""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec

from repoint.delta.errors import PatchError

_PREAMBLE = struct.Struct("<II")
_LONGEST = 64 << 20
_PER_BYTE = 200
"""How many times longer than stored a recipe may be; members of one kind compress very well."""
LARGEST_PART = 96 << 20
"""Largest size of a part's old and new content together, in bytes: they are held in memory."""
_MOST_WORK = 32 << 20
_WORK_PER_BYTE = 32
_SPARE_WORK = 64 << 10

_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
_Some = Annotated[int, msgspec.Meta(ge=1, le=(1 << 62) - 1)]


class Piece(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Bytes of the old file: plain ones, or a raw DEFLATE stream.

    Attributes:
        start, length: Their position.
        size: Their length once inflated; 0 for plain bytes.
    """

    start: _Count
    length: _Count
    size: _Count = 0


class Part(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Contents that are encoded together, by one codec against one old content.

    Attributes:
        codec: Any codec but `members`.
        length: Length of the payload.
        size: Size of the content.
        old: The pieces of the old content.
    """

    codec: Annotated[str, msgspec.Meta(max_length=16)]
    length: _Count
    size: _Count
    old: tuple[Piece, ...]


class Member(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A member to insert into the skeleton.

    Attributes:
        gap: Bytes of the skeleton since the member before.
        length: Its bytes in the new file.
        part: The part that holds its content, after the contents of the members before it; never
            part 0, the skeleton.
        size: Bytes of its content.
        level: zlib's level, from 1 to 9; 0 for a member that is not compressed.
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
    """How to assemble the new file."""

    parts: tuple[Part, ...]
    members: tuple[Member, ...]


def work(size: int, level: int) -> int:
    """Return the work of compressing so many bytes; high levels search longer."""
    return size * (4 if level > 6 else 1 if level else 0)


def most_work(new_size: int) -> int:
    """Return the work allowed for one file: what a device without zlib can do in minutes."""
    return min(_MOST_WORK, new_size * _WORK_PER_BYTE + _SPARE_WORK)


def dump(recipe: Recipe, payloads: list[bytes]) -> bytes:
    """Return the payload of a recipe and its parts."""
    from repoint.delta.zstd import compress

    raw = msgspec.msgpack.encode(recipe)
    stored = compress(raw)
    return b"".join([_PREAMBLE.pack(len(stored), len(raw)), stored, *payloads])


def load(payload: memoryview, old_size: int, new_size: int) -> tuple[Recipe, list[memoryview]]:
    """Return the recipe and the payloads of its parts.

    Raises:
        PatchError: The recipe is damaged, or made for files of other sizes.
    """
    if len(payload) < _PREAMBLE.size:
        raise PatchError("a recipe of members is truncated")
    stored, length = _PREAMBLE.unpack(payload[: _PREAMBLE.size])
    start = _PREAMBLE.size + stored
    if start > len(payload) or length > min(_LONGEST, 4096 + stored * _PER_BYTE):
        raise PatchError("a recipe of members does not have the declared length")
    recipe = _parsed(bytes(payload[_PREAMBLE.size : start]), length)
    _check(recipe, old_size, new_size)
    payloads = []
    for part in recipe.parts:
        payloads.append(payload[start : start + part.length])
        start += part.length
    if start != len(payload):
        raise PatchError("the parts of a recipe do not have the declared length")
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
            raise PatchError("a recipe names a part that does not exist")
        if not member.level and member.length != member.size:
            raise PatchError("a recipe has a member of two lengths")
        left[member.part] -= member.size
        left[0] -= member.length
    if left[0] != parts[0].size or any(left[1:]):
        raise PatchError("the members of a recipe do not have the length of their parts")
    if sum(member.gap for member in members) > parts[0].size:
        raise PatchError("a recipe has members outside of the skeleton")
    if not all(part.size for part in parts[1:]):
        raise PatchError("a recipe has a part without members")
    if sum(work(member.size, member.level) for member in members) > most_work(new_size):
        raise PatchError("a recipe asks for more work than allowed")
    for number, part in enumerate(parts):
        if any(piece.start + piece.length > old_size for piece in part.old):
            raise PatchError("a recipe names bytes outside of the old file")
        old = sum(piece.size or piece.length for piece in part.old)
        if number and old + part.size > LARGEST_PART:
            raise PatchError("a part of a recipe is larger than allowed")
    # The skeleton is encoded against the old file itself. What the other parts inflate is bounded.
    if sum(piece.size for piece in parts[0].old) or len(parts[0].old) > 1:
        raise PatchError("a skeleton is made from more than the old file")
    taken = sum(max(piece.size, piece.length) for part in parts[1:] for piece in part.old)
    if taken > 4 * (old_size + new_size) + 64 * new_size + (1 << 20):
        raise PatchError("a recipe takes more from the old file than its new one justifies")
