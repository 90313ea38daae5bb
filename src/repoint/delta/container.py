r"""The patch file: a header that says what is in it, then one payload per file.

Version 1, numbers little-endian:

| offset | bytes | what |
|---|---|---|
| 0  | 8  | the magic `RPPATCH1`; another version has another digit |
| 8  | 4  | n: length of the header as stored, at most 80 MiB |
| 12 | 4  | length of the header once decompressed, at most 72 MiB |
| 16 | 32 | SHA-256 of the n bytes of the header as stored |
| 48 | n  | the header: one zstd frame with its content size, over one MessagePack map |
| 48 + n |   | the payloads, back to back, in the order of the entries; nothing after the last |

The map has two keys: `annex`, bytes that mean nothing here and something to whoever made the patch;
and `entries`, an array of maps with the fields of `PatchEntry`. No two entries have one name.

A changed byte is found: in the first 48 bytes and the header by the digest, in a payload by the
codec or by the SHA-256 of the file that it gives. That is no protection against whoever makes the
patch: signatures are, and before them the process that decodes (`repoint.delta.sandbox.child`).
"""

from __future__ import annotations

import hashlib
import os
import struct
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec

from repoint.delta.codecs import CODECS
from repoint.delta.encoding import Encoded, PatchInput, encode_all
from repoint.delta.errors import PatchError

__all__ = ["Header", "PatchEntry", "PatchInput", "offsets", "read_header", "write_patch"]

MAGIC = b"RPPATCH1"
MAX_ANNEX = 64 << 20
MAX_HEADER = 72 << 20
MAX_STORED_HEADER = 80 << 20
"""More than a header of `MAX_HEADER` needs even where it cannot be compressed."""
_PREAMBLE = struct.Struct("<8sII32s")
_COPY_CHUNK = 1 << 20

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
_Source = Annotated[str, msgspec.Meta(max_length=4096)]
_Count = Annotated[int, msgspec.Meta(ge=0, le=(1 << 62) - 1)]
_Digest = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]
_Codec = Annotated[str, msgspec.Meta(min_length=1, max_length=16)]


class PatchEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One file that the patch gives.

    Attributes:
        name: What the file is called in this patch.
        source: What the old file is called that it is made from; empty for none.
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
    """What a patch says about itself.

    Attributes:
        annex: Bytes of the patch's maker, at most 64 MiB.
        entries: The files, in the order of their payloads.
    """

    annex: bytes
    entries: tuple[PatchEntry, ...]


def write_patch(
    out: Path,
    inputs: Sequence[PatchInput],
    annex: bytes = b"",
    progress: Callable[[int, int], None] | None = None,
    *,
    workers: int | None = None,
) -> tuple[PatchEntry, ...]:
    """Encode every input with the codec that suits it best, and write the patch to `out`.

    The same inputs give the same bytes, whatever the number of workers. `out` appears whole or
    not at all, and an old file there is replaced in one step.

    Args:
        out: Where the patch goes.
        inputs: The new files, each with the old file that it is to be made from, if any.
        annex: Bytes to carry along, at most 64 MiB.
        progress: Called with the bytes done and the bytes in all, of the new files.
        workers: How many processes encode at once; as many as there are processors by default.

    Returns:
        The entries as written.

    Raises:
        PatchError: The annex is too large, or two inputs have one name, or a name is unfit.
        DeltaChildError: An encoding process came to grief.
        OSError: A file cannot be read or written.
    """
    if len(annex) > MAX_ANNEX:
        raise PatchError(f"the annex of {out} is larger than {MAX_ANNEX} bytes")
    _refuse_duplicates([each.name for each in inputs])
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
        encoded = encode_all(
            inputs, Path(folder), workers or os.cpu_count() or 1, progress or _silent
        )
        entries = tuple(_entry(each, result) for each, result in zip(inputs, encoded, strict=True))
        part = Path(folder, "patch")
        with part.open("xb") as file:
            file.write(_head(Header(annex, entries)))
            for result in encoded:
                _append(file, result.payload)
            file.flush()
            os.fsync(file.fileno())
        part.replace(out)
    _sync_folder(out.parent)
    return entries


def read_header(patch: Path) -> Header:
    """The header of the patch at `patch`, checked against the file's length.

    Only for patches whose bytes are trusted; hostile ones are opened by the decoding child alone.

    Raises:
        PatchError: It is not a patch of this version, or not whole.
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
                hint=error.hint or "Make it again, or fetch it again",
            ) from None


def parse_patch(patch: memoryview) -> tuple[Header, int]:
    """The header of a mapped patch, and the offset of its first payload.

    Raises:
        PatchError: It is not a patch of this version, or not whole.
    """
    start = _PREAMBLE.size
    return _parse(bytes(patch[:start]), lambda n: bytes(patch[start : start + n]), len(patch))


def offsets(header: Header, start: int) -> Iterator[tuple[PatchEntry, int]]:
    """Each entry with the offset of its payload; `start` is that of the first."""
    for entry in header.entries:
        yield entry, start
        start += entry.length


def _parse(preamble: bytes, read: Callable[[int], bytes], size: int) -> tuple[Header, int]:
    if len(preamble) < _PREAMBLE.size or preamble[: len(MAGIC)] != MAGIC:
        raise PatchError("this is not a Repoint patch of version 1")
    _, stored, unpacked, digest = _PREAMBLE.unpack(preamble)
    if stored > MAX_STORED_HEADER or unpacked > MAX_HEADER:
        raise PatchError("the patch's header is larger than a header may be")
    start = _PREAMBLE.size + stored
    if start > size:
        raise PatchError("the patch is truncated within its header")
    raw = read(stored)
    if len(raw) != stored or hashlib.sha256(raw).digest() != digest:
        raise PatchError("the patch's header is damaged")
    header = _header(_unpacked(raw, unpacked))
    end = start + sum(entry.length for entry in header.entries)
    if end != size:
        what = "truncated" if size < end else "followed by bytes that do not belong to it"
        raise PatchError(f"the patch is {what}: {size} bytes instead of {end}")
    return header, start


def _unpacked(raw: bytes, size: int) -> bytes:
    from repoint.delta.zstd import decompress

    return decompress(raw, size, "the patch's header")


def _header(unpacked: bytes) -> Header:
    try:
        header = msgspec.msgpack.decode(unpacked, type=Header)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PatchError("the patch's header is not of the form that version 1 has") from error
    if len(header.annex) > MAX_ANNEX:
        raise PatchError("the patch's annex is larger than an annex may be")
    _refuse_duplicates([entry.name for entry in header.entries])
    for name in {entry.codec for entry in header.entries}:
        CODECS.named(name)
    return header


def _refuse_duplicates(names: Sequence[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise PatchError(f"the patch has two files of one name: {name[:200]!r}")
        seen.add(name)


def _head(header: Header) -> bytes:
    """The preamble and the header as stored."""
    from repoint.delta.zstd import compress

    try:
        unpacked = msgspec.msgpack.encode(header)
        # What cannot be read back must not be written.
        _header(unpacked)
    except UnicodeEncodeError as error:
        raise PatchError(
            f"a file name is not UTF-8: {error.object[:200]!a}", hint="Rename the file"
        ) from error
    if len(unpacked) > MAX_HEADER:
        raise PatchError("the patch has more files than a header can name")
    raw = compress(unpacked)
    digest = hashlib.sha256(raw).digest()
    return _PREAMBLE.pack(MAGIC, len(raw), len(unpacked), digest) + raw


def _entry(given: PatchInput, made: Encoded) -> PatchEntry:
    return PatchEntry(
        given.name, given.source, made.size, made.sha256, made.codec, made.payload.stat().st_size
    )


def _append(file: BinaryIO, payload: Path) -> None:
    with payload.open("rb") as source:
        while chunk := source.read(_COPY_CHUNK):
            file.write(chunk)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _silent(_done: int, _total: int) -> None: ...
