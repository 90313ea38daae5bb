"""A source of any kind made into a tree: what it is, and all or nothing."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from repoint.model.errors import InvalidRecordError
from repoint.publisher.ingest.builder import TreeBuilder
from repoint.publisher.ingest.compressed import is_compressed
from repoint.publisher.ingest.deb import is_deb, unpack_deb
from repoint.publisher.ingest.directory import unpack_directory
from repoint.publisher.ingest.errors import UnfitSourceError, UnpackError
from repoint.publisher.ingest.limits import Limits
from repoint.publisher.ingest.tar import unpack_tar
from repoint.publisher.ingest.wheel import is_zip, unpack_wheel

_Fill: TypeAlias = Callable[[TreeBuilder], None]

_KINDS = "Give a folder, a wheel, a .deb or a tar archive (.tar, .tar.gz, .tar.xz, .tar.zst)"

_TAR_MAGIC = (257, b"ustar")
"""Offset and bytes that POSIX and GNU tar write; an archive of Unix v7 has only its name."""


def unpack_source(source: Path, into: Path, *, limits: Limits | None = None) -> None:
    """Make a component's source into a tree of files.

    The source is recognised by its content; the name counts only for tar archives so old that
    they have no mark. The tree appears at ``into`` whole or not at all.

    Args:
        source: A folder, a wheel, a Debian package or a tar archive (plain, gzip, xz, zstd).
        into: Where the tree is to stand. Must not exist; the folder it lies in must.
        limits: The largest tree to accept.

    Raises:
        UnfitSourceError: The source is missing, unreadable, broken, of another kind, or holds
            what no component may hold: paths or links that leave the tree, devices, a path
            twice, no file at all, or more than the limits.
        UnpackError: ``into`` exists or cannot be written.
    """
    if os.path.lexists(into):
        raise UnpackError(f"{into} exists already", hint="Name a place where nothing is yet")
    fill = _how_to_unpack(source)
    if source.is_dir() and into.resolve().is_relative_to(source.resolve()):
        raise UnpackError(f"{into} lies in {source} itself", hint="Name a place outside of it")
    try:
        _build(fill, into, limits or Limits())
    except (UnfitSourceError, InvalidRecordError) as error:
        raise UnfitSourceError(
            f"{source} cannot be used as a source: {error.message}",
            hint=error.hint or "Take that out of the source and build it again",
        ) from error
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise UnpackError(
            f"{source} could not be unpacked to {into}: {error.strerror or error}{place}",
            hint=_what_to_do(error),
        ) from error


def _build(fill: _Fill, into: Path, limits: Limits) -> None:
    root = Path(tempfile.mkdtemp(prefix=".unpack-", dir=into.parent))
    tree = TreeBuilder(root, limits)
    try:
        fill(tree)
        tree.finish()
        root.rename(into)
    except BaseException:
        tree.discard()
        raise


def _how_to_unpack(source: Path) -> _Fill:
    try:
        if source.is_dir():
            return lambda tree: unpack_directory(source, tree)
        if not source.is_file():
            missing = not os.path.lexists(source)
            raise UnfitSourceError(
                f"{source} {'does not exist' if missing else 'is neither a file nor a folder'}",
                hint=_KINDS,
            )
        with source.open("rb") as stream:
            head = stream.read(512)
    except OSError as error:
        raise UnfitSourceError(
            f"{source} cannot be read: {error.strerror}", hint="Run as a user who may read it"
        ) from error
    if is_zip(head):
        return _from_file(source, unpack_wheel)
    if is_deb(head):
        return _from_file(source, unpack_deb)
    offset, magic = _TAR_MAGIC
    if is_compressed(head) or head.startswith(magic, offset) or source.suffix == ".tar":
        return _from_file(source, unpack_tar)
    raise UnfitSourceError(f"{source} is no source that Repoint knows", hint=_KINDS)


def _from_file(source: Path, unpack: Callable[..., None]) -> _Fill:
    def fill(tree: TreeBuilder) -> None:
        with source.open("rb") as stream:
            unpack(stream, tree)

    return fill


def _what_to_do(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and try again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Run as a user who may read the source and write there"
    return "Check the place and try again"
