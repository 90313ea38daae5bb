"""Where the bytes of a patch go."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repoint.delta.container import offsets, parse_patch, read_header
from repoint.delta.mapped import mapped

if TYPE_CHECKING:
    from repoint.delta.elf.account import SectionAccount, StreamAccount

_ANY_SIZE = 1 << 62


class PartAccount(msgspec.Struct, frozen=True):
    """One part of a file that holds others.

    Attributes:
        codec: Its codec.
        members: How many members its content is that of; none for what lies between members.
        size: Bytes of the content.
        length: Bytes of its payload.
    """

    codec: str
    members: int
    size: int
    length: int


class Explained(msgspec.Struct, frozen=True):
    """One file of a patch.

    Attributes:
        name: What the file is called; ``source`` what it is made from.
        codec: Its codec.
        size: Bytes of the file.
        length: Bytes of its payload.
        streams: For codec `elf`, the parts of the payload.
        parts: For codec `members`, what lies between members, then the members' contents.
        sections: For codec `elf` and where the old file is at hand, what became of each section.
    """

    name: str
    source: str
    codec: str
    size: int
    length: int
    streams: tuple[StreamAccount, ...] = ()
    sections: tuple[SectionAccount, ...] = ()
    parts: tuple[PartAccount, ...] = ()


def explain(patch: Path, old: Callable[[str], Path | None]) -> tuple[Explained, ...]:
    """Account for every file of a patch, in its order.

    Args:
        patch: The patch, from a source that is trusted: it is read in this process.
        old: Gives the old file for a source, if it is at hand.

    Raises:
        PatchError: The patch is damaged, or made for other old files.
        OSError: A file cannot be read.
    """
    read_header(patch)  # says which file it is that is damaged
    with mapped(patch) as data:
        header, start = parse_patch(data)
        found = []
        for entry, at in offsets(header, start):
            said = Explained(entry.name, entry.source, entry.codec, entry.size, entry.length)
            if entry.codec == "elf":
                payload = bytes(data[at : at + entry.length])
                place = old(entry.source) if entry.source else None
                said = _with_elf(said, payload, place)
            if entry.codec == "members":
                parts = _parts(data[at : at + entry.length], entry.size)
                said = msgspec.structs.replace(said, parts=parts)
            found.append(said)
    return tuple(found)


def _with_elf(said: Explained, payload: bytes, old: Path | None) -> Explained:
    from repoint.delta.elf.account import by_section, by_stream

    sections: tuple[SectionAccount, ...] = ()
    with mapped(old) if old is not None else nullcontext() as view:
        if view is not None:
            sections = by_section(view, payload, said.size)
    return msgspec.structs.replace(said, streams=by_stream(payload, said.size), sections=sections)


def _parts(payload: memoryview, size: int) -> tuple[PartAccount, ...]:
    from collections import Counter

    from repoint.delta.members import recipe

    # The old file need not be at hand; what the recipe takes from it is for the decoder to check.
    said, _ = recipe.load(payload, _ANY_SIZE, size)
    members = Counter(member.part for member in said.members)
    return tuple(
        PartAccount(part.codec, members[number], part.size, part.length)
        for number, part in enumerate(said.parts)
    )
