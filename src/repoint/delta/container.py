r"""The patch file: a header that lists its files, then one payload per file.

Version 1, numbers little-endian:

| offset | bytes | what |
|---|---|---|
| 0  | 8  | the magic `RPPATCH1`; another version has another digit |
| 8  | 4  | n: length of the header as stored, at most 80 MiB |
| 12 | 4  | length of the header once decompressed, at most 72 MiB |
| 16 | 32 | SHA-256 of the n bytes of the header as stored |
| 48 | n  | the header: one zstd frame with its content size, over one MessagePack map |
| 48 + n |   | the payloads, back to back, in the order of the entries; nothing after the last |

The map has two keys: `annex`, bytes that only the maker of the patch interprets; and `entries`, an
array of maps with the fields of `PatchEntry`. No two entries have the same name.

Damage is detected: in the preamble and the header by the digest, in a payload by the codec or by
the SHA-256 of its file. Against the maker of a patch this is no protection; signatures and the
confined decoding process (`repoint.delta.sandbox.child`) are.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from repoint.delta.codecs import CODECS
from repoint.delta.errors import PatchError

MAGIC = b"RPPATCH1"
MAX_ANNEX = 64 << 20
MAX_HEADER = 72 << 20
MAX_STORED_HEADER = 80 << 20
"""More than a header of `MAX_HEADER` bytes needs, even if it cannot be compressed."""
_PREAMBLE = struct.Struct("<8sII32s")

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
_Source = Annotated[str, msgspec.Meta(max_length=4096)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Codec = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]


class PatchEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file of a patch.

    Attributes:
        name: Its name in the patch.
        source: The name of the old file that its payload needs; empty for none.
        size: Its length in bytes.
        sha256: Its SHA-256, in lower-case hexadecimal digits.
        codec: The name of the codec of its payload.
        length: The length of its payload in bytes.
    """

    name: _Name
    source: _Source
    size: _Count
    sha256: _Digest
    codec: _Codec
    length: _Count


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The header of a patch.

    Attributes:
        annex: Bytes that the maker of the patch added, at most 64 MiB.
        entries: The files, in the order of their payloads.
    """

    annex: bytes
    entries: tuple[PatchEntry, ...]


def read_header(patch: Path) -> Header:
    """Return the header of the patch at `patch`, checked against the length of the file.

    Only for trusted patches; only the decoding child opens hostile ones.

    Raises:
        PatchError: The file is not a patch of this version, or is damaged.
        OSError: The file cannot be read.
    """
    with patch.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        preamble = file.read(_PREAMBLE.size)
        try:
            return _parse(preamble, file.read, size)[0]
        except PatchError as error:
            raise PatchError(
                f"{patch} cannot be used: {error.message}",
                hint=error.hint or "Build it again, or download it again",
            ) from None


def parse_patch(patch: memoryview) -> tuple[Header, int]:
    """Return the header of a mapped patch, and the offset of its first payload.

    Raises:
        PatchError: The bytes are not a patch of this version, or are damaged.
    """
    start = _PREAMBLE.size
    return _parse(bytes(patch[:start]), lambda n: bytes(patch[start : start + n]), len(patch))


def offsets(header: Header, start: int) -> Iterator[tuple[PatchEntry, int]]:
    """Yield each entry with the offset of its payload; `start` is that of the first."""
    for entry in header.entries:
        yield entry, start
        start += entry.length


def _parse(preamble: bytes, read: Callable[[int], bytes], size: int) -> tuple[Header, int]:
    if len(preamble) < _PREAMBLE.size or preamble[: len(MAGIC)] != MAGIC:
        raise PatchError("this is not a Repoint patch of version 1")
    _, stored, unpacked, digest = _PREAMBLE.unpack(preamble)
    if stored > MAX_STORED_HEADER or unpacked > MAX_HEADER:
        raise PatchError("the patch's header is larger than allowed")
    start = _PREAMBLE.size + stored
    if start > size:
        raise PatchError("the patch is truncated within its header")
    raw = read(stored)
    if len(raw) != stored or hashlib.sha256(raw).digest() != digest:
        raise PatchError("the patch's header is damaged")
    header = _header(_unpacked(raw, unpacked))
    end = start + sum(entry.length for entry in header.entries)
    if end != size:
        damage = "truncated" if size < end else "followed by bytes that do not belong to it"
        raise PatchError(f"the patch is {damage}: {size} bytes instead of {end}")
    return header, start


def _unpacked(raw: bytes, size: int) -> bytes:
    from repoint.delta.zstd import decompress

    return decompress(raw, size, "the patch's header")


def _header(unpacked: bytes) -> Header:
    try:
        header = msgspec.msgpack.decode(unpacked, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PatchError("the patch's header does not have the form of version 1") from error
    if len(header.annex) > MAX_ANNEX:
        raise PatchError("the patch's annex is larger than allowed")
    refuse_duplicates([entry.name for entry in header.entries])
    for name in {entry.codec for entry in header.entries}:
        CODECS.named(name)
    return header


def refuse_duplicates(names: Sequence[str]) -> None:
    """Raise `PatchError` if two files have the same name."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PatchError(f"the patch has two files of one name: {name[:200]!r}")
        seen.add(name)


def serialize_header(header: Header) -> bytes:
    """Return the preamble and the header as stored.

    Raises:
        PatchError: A reader would refuse the header.
    """
    from repoint.delta.zstd import compress

    try:
        unpacked = msgspec.msgpack.encode(header)
        _header(unpacked)  # never write what cannot be read back
    except UnicodeEncodeError as error:
        raise PatchError(
            f"a file name is not UTF-8: {error.object[:200]!a}", hint="Rename the file"
        ) from error
    if len(unpacked) > MAX_HEADER:
        raise PatchError("the patch has more files than a header can list")
    raw = compress(unpacked)
    digest = hashlib.sha256(raw).digest()
    return _PREAMBLE.pack(MAGIC, len(raw), len(unpacked), digest) + raw
