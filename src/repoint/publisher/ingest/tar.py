"""A tar archive as a component's source.

`tarfile` reads the headers, as a stream and never backwards; this module decides what to do with
each member. It works around three habits of tarfile: it takes a corrupt header for the end of the
archive, reads extended headers of any size into memory, and keeps every member.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Self, cast

from repoint.publisher.ingest.builder import CHUNK, TreeBuilder, archive_time
from repoint.publisher.ingest.compressed import PeekableReader, Reader, open_stream
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input

_OVERHEAD = 8 << 20
"""Bytes allowed between the contents of two files: headers, long names, padding, the end."""


def unpack_tar(stream: PeekableReader, tree: TreeBuilder, *, what: str = "The archive") -> None:
    """Unpack a tar archive, plain or compressed with gzip, xz or zstd.

    Args:
        stream: The archive.
        tree: Receives the members.
        what: The name of the archive in messages.

    Raises:
        UnfitSourceError: It is corrupt, or a component cannot contain a member.
    """
    metered = _Metered(open_stream(stream), what)
    # tarfile only needs to read from the stream.
    file = cast("IO[bytes]", metered)
    with broken_input(what), tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as archive:
        while (member := archive.next()) is not None:
            # Otherwise it keeps up to two million of them, a kilobyte each.
            archive.members = []  # type: ignore[attr-defined]
            _add(member, archive, metered, tree)
            metered.allow(_OVERHEAD)
    # The checksum is at the very end of a compressed stream.
    metered.allow(_OVERHEAD)
    while metered.read(CHUNK):
        pass


def _add(
    member: tarfile.TarInfo, archive: tarfile.TarFile, metered: _Metered, tree: TreeBuilder
) -> None:
    path = _relative(member.name)
    mode = member.mode & 0o7777
    mtime_ns = archive_time(member.mtime)
    if member.isdir():
        if path:
            tree.add_folder(path, mode=mode, mtime_ns=mtime_ns)
    elif member.issym():
        tree.add_link(path, member.linkname, mtime_ns=mtime_ns)
    elif member.islnk():
        tree.add_hard_link(path, _relative(member.linkname))
    elif member.isreg():
        metered.allow(member.size + _OVERHEAD)
        tree.add_file(path, _content(member, archive), mode=mode, mtime_ns=mtime_ns)
    else:
        raise UnfitSourceError(
            f"{member.name!r} is a device, a pipe or of an unknown type",
            hint="A component has files, folders and links; remove it",
        )


def _relative(name: str) -> str:
    # `tar -C folder -c .` and dpkg write "./" and "./usr/bin/"; other detours are refused later.
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def _content(member: tarfile.TarInfo, archive: tarfile.TarFile) -> Iterator[bytes]:
    content = archive.extractfile(member)
    while content is not None and (chunk := content.read(CHUNK)):
        yield chunk


class _Header(tarfile.TarInfo):
    """A header that is complete, the end of the archive, or an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"a member is missing: {error}") from None
        if header.size < 0:
            raise tarfile.ReadError("a member of negative size")
        return header


class _Metered:
    """Limits the bytes that are read to what the previous headers make plausible."""

    def __init__(self, stream: Reader, what: str) -> None:
        self._stream = stream
        self._what = what
        self._left = _OVERHEAD

    def allow(self, count: int) -> None:
        self._left = count

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size)
        self._left -= len(data)
        if self._left < 0:
            raise UnfitSourceError(
                f"{self._what} has more than {_OVERHEAD:,} bytes between two files",
                hint="Build it again with a standard tar",
            )
        return data
