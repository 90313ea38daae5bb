"""Finding the members of a file: zip entries, gzip streams, and uncompressed compiled code.

Only the encoder scans; the recipe tells a decoder where everything is.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import NamedTuple

_GZIP = re.compile(rb"\x1f\x8b\x08[\x00-\x1f]", re.DOTALL)
_ELF = re.compile(rb"\x7fELF\x02\x01\x01", re.DOTALL)
_LOCAL = struct.Struct("<4s22xHH")
_LOCAL_MAGIC = b"PK\x03\x04"
_ELF_TABLE = struct.Struct("<40xQ10xHH")
_CHUNK = 64 << 10
_LONGEST_GZIP_HEADER = 4096
_SMALLEST = 64
"""Size in bytes below which a member is not worth its entry in a recipe."""
_MOST_INFLATED = 1 << 30


class FoundMember(NamedTuple):
    """A member of a file.

    Attributes:
        name: Its name in the container; empty if it has none.
        start, length: The position of its bytes in the file.
        size: Bytes of its content.
        packed: True if the bytes are a raw DEFLATE stream, False if they are the content.
    """

    name: str
    start: int
    length: int
    size: int
    packed: bool


def find_members(data: memoryview) -> list[FoundMember]:
    """Return the members of a file in order, without overlaps."""
    found = sorted([*_zipped(data), *_gzipped(data), *_elf(data)], key=lambda each: each.start)
    kept: list[FoundMember] = []
    end = 0
    for each in found:
        if each.start >= end:
            kept.append(each)
            end = each.start + each.length
    return kept


def _zipped(data: memoryview) -> Iterator[FoundMember]:
    file = io.BytesIO(data) if _LOCAL_MAGIC in bytes(data[:_CHUNK]) else None
    if file is None:
        return
    try:
        entries = zipfile.ZipFile(file).infolist()
    except (zipfile.BadZipFile, ValueError, OSError, struct.error, NotImplementedError):
        return
    for entry in entries:
        at = entry.header_offset
        if entry.flag_bits & 1 or not 0 <= at <= len(data) - _LOCAL.size:
            continue
        magic, name, extra = _LOCAL.unpack(data[at : at + _LOCAL.size])
        start = at + _LOCAL.size + name + extra
        if magic != _LOCAL_MAGIC or start + entry.compress_size > len(data):
            continue
        if min(entry.compress_size, entry.file_size) < _SMALLEST:
            continue
        if entry.compress_type == zipfile.ZIP_DEFLATED:
            yield FoundMember(
                entry.filename, start, entry.compress_size, entry.file_size, packed=True
            )
        elif entry.compress_type == zipfile.ZIP_STORED and entry.compress_size == entry.file_size:
            yield FoundMember(
                entry.filename, start, entry.compress_size, entry.file_size, packed=False
            )


def _gzipped(data: memoryview) -> Iterator[FoundMember]:
    end = 0
    for match in _GZIP.finditer(data):
        if match.start() < end:
            continue
        header = _gzip_header(bytes(data[match.start() : match.start() + _LONGEST_GZIP_HEADER]))
        if header is None:
            continue
        length, name = header
        start = match.start() + length
        measured = _measure(data, start)
        if measured is not None:
            packed, size = measured
            yield FoundMember(name, start, packed, size, packed=True)
            end = start + packed


def _gzip_header(data: bytes) -> tuple[int, str] | None:
    """Return the length of a gzip header and the name in it; None if it is none (RFC 1952, 2.3)."""
    flags, at, name = data[3], 10, b""
    if flags & 4:
        if len(data) < at + 2:
            return None
        at += 2 + int.from_bytes(data[at : at + 2], "little")
    for flag in (8, 16):
        if flags & flag:
            end = data.find(b"\0", at)
            if end < 0:
                return None
            name = data[at:end] if flag == 8 else name
            at = end + 1
    at += 2 if flags & 2 else 0
    return (at, name.decode("latin-1")) if at <= len(data) else None


def _measure(data: memoryview, start: int) -> tuple[int, int] | None:
    """Return the length of a raw DEFLATE stream and of its content; None if it is not one."""
    inflater = zlib.decompressobj(-15)
    size = 0
    for at in range(start, len(data), _CHUNK):
        chunk = data[at : at + _CHUNK]
        try:
            size += len(inflater.decompress(chunk))
        except zlib.error:
            return None
        if size > _MOST_INFLATED:
            return None
        if inflater.eof:
            length = at + len(chunk) - len(inflater.unused_data) - start
            return (length, size) if min(length, size) >= _SMALLEST else None
    return None


def _elf(data: memoryview) -> Iterator[FoundMember]:
    """Yield the 64-bit little-endian ELF files that end with their section headers."""
    end = 0
    for match in _ELF.finditer(data):
        start = match.start()
        if start < end or start + 64 > len(data):
            continue
        table, width, count = _ELF_TABLE.unpack(data[start : start + _ELF_TABLE.size])
        length = table + width * count
        if table and 64 < length <= len(data) - start:
            yield FoundMember("", start, length, length, packed=False)
            end = start + length
