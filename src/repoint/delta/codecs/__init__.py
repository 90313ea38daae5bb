"""The codecs: each turns an old and a new file into a payload, and back.

To add a codec:

1. Write a file in this folder with a subclass of `Codec` (see `codec.py` for the contract). Import
   heavy libraries inside the methods, and in `prepare` whatever `decode` needs.
2. Add one line, and its import, to the table below. Everything else follows: selection, the
   confined decoding process, the contents of archives.
3. Treat payloads as hostile: `decode` raises `PatchError` for any damage and bounds its memory by
   the declared sizes. Add the codec to `tests/fuzz` and a test vector that must decode for ever.
4. Describe the payload in `docs/formats.md`. From its first release on, a payload's format never
   changes; a new format is a new codec with a new name.
"""

from __future__ import annotations

from repoint.delta.codecs.codec import Codec
from repoint.delta.codecs.copy import Copy
from repoint.delta.codecs.elf import Elf
from repoint.delta.codecs.full import Full
from repoint.delta.codecs.hdiff import HDiff
from repoint.delta.codecs.members import Members
from repoint.delta.codecs.table import CodecTable
from repoint.delta.codecs.xz import Xz
from repoint.delta.codecs.zstd import Zstd

__all__ = ["CODECS", "Codec"]

_FOR_SINGLE_FILES = CodecTable(
    Copy(),
    Full(),
    Xz(),
    Zstd(),
    HDiff(),
    Elf(),
)
"""From the simplest codec on; the order breaks ties."""

CODECS = CodecTable(*_FOR_SINGLE_FILES, Members(_FOR_SINGLE_FILES))
"""All codecs. An archive's members are encoded by the codecs for single files."""
