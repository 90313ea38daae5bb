"""What the bytes of a patch are spent on."""

from __future__ import annotations

from collections import Counter
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
    """One part of a file that holds other files.

    Attributes:
        codec: Its codec.
        members: Number of members whose content the part holds; 0 for the bytes between members.
        size: Bytes of the content.
        length: Bytes of its payload.
    """

    codec: str
    members: int
    size: int
    length: int


class FileAccount(msgspec.Struct, frozen=True):
    """One file of a patch.

    Attributes:
        name: Its name.
        source: The name of its old file; empty for none.
        codec: Its codec.
        size: Bytes of the file.
        length: Bytes of its payload.
        streams: For codec `elf`, the streams of the payload.
        sections: For codec `elf` and if the old file is available, how well each section of the
            new file was predicted.
        parts: For codec `members`, the bytes between members, then the members' contents.
    """

    name: str
    source: str
    codec: str
    size: int
    length: int
    streams: tuple[StreamAccount, ...] = ()
    sections: tuple[SectionAccount, ...] = ()
    parts: tuple[PartAccount, ...] = ()


def explain(patch: Path, old: Callable[[str], Path | None]) -> tuple[FileAccount, ...]:
    """Return an account of every file of a patch, in its order.

    Args:
        patch: The patch, from a trusted source: it is decoded in this process.
        old: Returns the old file for a source, or None if it is not available.

    Raises:
        PatchError: The patch is damaged, or made for other old files.
        OSError: A file cannot be read.
    """
    read_header(patch)  # names the file in its errors
    with mapped(patch) as data:
        header, start = parse_patch(data)
        accounts = []
        for entry, at in offsets(header, start):
            account = FileAccount(entry.name, entry.source, entry.codec, entry.size, entry.length)
            payload = data[at : at + entry.length]
            if entry.codec == "elf":
                source = old(entry.source) if entry.source else None
                account = _with_elf(account, bytes(payload), source)
            if entry.codec == "members":
                account = msgspec.structs.replace(account, parts=_parts(payload, entry.size))
            accounts.append(account)
    return tuple(accounts)


def _with_elf(account: FileAccount, payload: bytes, old: Path | None) -> FileAccount:
    from repoint.delta.elf.account import by_section, by_stream

    sections: tuple[SectionAccount, ...] = ()
    with mapped(old) if old is not None else nullcontext() as view:
        if view is not None:
            sections = by_section(view, payload, account.size)
    streams = by_stream(payload, account.size)
    return msgspec.structs.replace(account, streams=streams, sections=sections)


def _parts(payload: memoryview, size: int) -> tuple[PartAccount, ...]:
    from repoint.delta.members.recipe import load

    # The old file may not be available; the decoder checks what the recipe takes from it.
    recipe, _ = load(payload, _ANY_SIZE, size)
    members = Counter(member.part for member in recipe.members)
    return tuple(
        PartAccount(part.codec, members[number], part.size, part.length)
        for number, part in enumerate(recipe.parts)
    )
