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


class Explained(msgspec.Struct, frozen=True):
    """One file of a patch.

    Attributes:
        name: What the file is called; ``source`` what it is made from.
        codec: Its codec.
        size: Bytes of the file.
        length: Bytes of its payload.
        streams: For codec `elf`, the parts of the payload.
        sections: For codec `elf` and where the old file is at hand, what became of each section.
    """

    name: str
    source: str
    codec: str
    size: int
    length: int
    streams: tuple[StreamAccount, ...] = ()
    sections: tuple[SectionAccount, ...] = ()


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
            found.append(said)
    return tuple(found)


def _with_elf(said: Explained, payload: bytes, old: Path | None) -> Explained:
    from repoint.delta.elf.account import by_section, by_stream

    sections: tuple[SectionAccount, ...] = ()
    with mapped(old) if old is not None else nullcontext() as view:
        if view is not None:
            sections = by_section(view, payload, said.size)
    return msgspec.structs.replace(said, streams=by_stream(payload, said.size), sections=sections)
