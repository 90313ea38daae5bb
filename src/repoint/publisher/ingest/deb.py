"""A Debian package as a component's source: the files it installs, without its scripts.

python-debian reads the member headers. Its `DebFile` is not used: it keeps a whole package in
memory, runs an external program for zstd, and loops on a negative member size.

Source: deb(5).
"""

from __future__ import annotations

import io
import os
from typing import TYPE_CHECKING, NamedTuple

from repoint.publisher.ingest.builder import TreeBuilder
from repoint.publisher.ingest.errors import UnfitSourceError, broken_input
from repoint.publisher.ingest.tar import unpack_tar

if TYPE_CHECKING:
    from debian.arfile import ArMember

_GLOBAL_HEADER = b"!<arch>\n"
_DATA = ("data.tar", "data.tar.gz", "data.tar.xz", "data.tar.zst")


class _Part(NamedTuple):
    name: str
    start: int
    size: int


def is_deb(head: bytes) -> bool:
    """Return whether a file that starts with ``head`` is an ar archive, as Debian packages are."""
    return head.startswith(_GLOBAL_HEADER)


def unpack_deb(stream: io.BufferedReader, tree: TreeBuilder) -> None:
    """Unpack the files that a Debian package installs.

    Raises:
        UnfitSourceError: It is not a Debian package, is corrupt, or a component cannot contain a
            member.
    """
    parts = _parts(stream)
    if not parts or parts[0].name != "debian-binary":
        raise UnfitSourceError(
            "It is an ar archive but not a Debian package", hint="Give a .deb, or unpack it first"
        )
    stream.seek(parts[0].start)
    version = stream.read(min(parts[0].size, 16)).decode(errors="replace").strip()
    if not version.startswith("2."):
        raise UnfitSourceError(f"It is a Debian package of the unknown format {version!r}")
    data = [part for part in parts if part.name.startswith("data.tar")]
    if len(data) != 1 or data[0].name not in _DATA:
        raise UnfitSourceError(
            f"It has {' and '.join(part.name for part in data) or 'no data.tar'}"
            f" instead of one of {', '.join(_DATA)}",
            hint="Build the package again with dpkg-deb",
        )
    part = io.BufferedReader(_Window(stream, data[0].start, data[0].size))
    unpack_tar(part, tree, what=f"The package's {data[0].name}")


def _parts(stream: io.BufferedReader) -> list[_Part]:
    end = os.fstat(stream.fileno()).st_size
    parts = []
    stream.seek(len(_GLOBAL_HEADER))
    while (member := _next(stream)) is not None:
        part = _Part(member.name, stream.tell(), member.size)
        if part.size < 0 or part.start + part.size > end:
            raise UnfitSourceError(
                f"The package is truncated in {part.name!r}", hint="Download or build it again"
            )
        parts.append(part)
        # Members start at even offsets.
        stream.seek(part.size + part.size % 2, os.SEEK_CUR)
    return parts


def _next(stream: io.BufferedReader) -> ArMember | None:
    # Only the extra ``vendor`` brings it, and a device may import this module.
    from debian.arfile import ArMember

    with broken_input("The package"):
        try:
            return ArMember.from_file(stream, None)
        except OSError as error:
            # python-debian raises OSError for a malformed header too; disk errors have a number.
            if error.errno is not None:
                raise
            raise ValueError(str(error)) from None


class _Window(io.RawIOBase):
    """The bytes of a file between two offsets."""

    def __init__(self, stream: io.BufferedReader, start: int, size: int) -> None:
        super().__init__()
        self._stream = stream
        self._left = size
        stream.seek(start)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._stream.read(min(len(buffer), self._left))
        self._left -= len(data)
        buffer[: len(data)] = data
        return len(data)
