"""A tar archive as a component's source.

`tarfile` reads the headers, as a stream and never backwards; what becomes of a member is decided
here. Three of its habits are not wanted and are undone: it takes a broken header for the end of
the archive, it reads extended headers of any size into memory, and it remembers every member.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator
from typing import IO, Self, cast

from repoint.publisher.ingest.builder import CHUNK, TreeBuilder, archive_time
from repoint.publisher.ingest.compressed import PeekableReader, Reader, open_stream
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input

_OVERHEAD = 8 << 20
"""Bytes that may lie between two files' contents: headers, long names, padding, the end."""


def unpack_tar(stream: PeekableReader, tree: TreeBuilder, *, what: str = "The archive") -> None:
    """Unpack a tar archive, plain or compressed with gzip, xz or zstd.

    Args:
        stream: The archive.
        tree: Where its members go.
        what: What it is called in messages.

    Raises:
        UnfitSourceError: It is broken, or a member has no place in a component.
    """
    metered = _Metered(open_stream(stream), what)
    # All that tarfile wants of a stream is that it can be read.
    file = cast("IO[bytes]", metered)
    with broken_input(what), tarfile.open(fileobj=file, mode="r|", tarinfo=_Header) as archive:
        while (member := archive.next()) is not None:
            # Else it keeps two million of them, a kilobyte each.
            archive.members = []  # type: ignore[attr-defined]
            _add(member, archive, metered, tree)
            metered.allow(_OVERHEAD)
    # A checksum stands at the very end of a compressed stream.
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
    elif member.issparse():
        raise UnfitSourceError(
            f"{member.name!r} is stored as a sparse file", hint="Make the archive without --sparse"
        )
    elif member.isreg():
        metered.allow(member.size + _OVERHEAD)
        tree.add_file(path, _content(member, archive), mode=mode, mtime_ns=mtime_ns)
    else:
        raise UnfitSourceError(
            f"{member.name!r} is a device, a pipe or of a type unknown here",
            hint="A component holds files, folders and links; take it out",
        )


def _relative(name: str) -> str:
    # `tar -C folder -c .` and dpkg write "./" and "./usr/bin/"; any other detour is refused later.
    while name.startswith("./"):
        name = name[2:]
    return "" if name == "." else name


def _content(member: tarfile.TarInfo, archive: tarfile.TarFile) -> Iterator[bytes]:
    content = archive.extractfile(member)
    while content is not None and (chunk := content.read(CHUNK)):
        yield chunk


class _Header(tarfile.TarInfo):
    """A header that is read whole, or is the end, or is an error."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        try:
            header = super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if len(buf) == tarfile.BLOCKSIZE and not any(buf):
                raise
            raise tarfile.ReadError(f"no member where one should be: {error}") from None
        if header.size < 0:
            raise tarfile.ReadError("a member of negative size")
        return header


class _Metered:
    """Lets through only as many bytes as what was read so far makes plausible."""

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
                hint="Build it again with a common tar",
            )
        return data
