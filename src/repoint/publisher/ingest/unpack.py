"""Unpacking of a source of any kind to a tree, whole or not at all."""

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

_Fill: TypeAlias = Callable[[TreeBuilder], tuple[str, ...] | None]
"""Fills a tree. It may return patterns of what installers write among the files."""

_KINDS = "Name a folder, a wheel, a .deb or a tar archive (.tar, .tar.gz, .tar.xz, .tar.zst)"

_TAR_MAGIC = (257, b"ustar")
"""Offset and bytes that POSIX and GNU tar write. Archives of Unix v7 do not have them."""


def unpack_source(
    source: Path, into: Path, *, limits: Limits | None = None, system: bool = False
) -> tuple[str, ...]:
    """Unpack a component's source to a tree of files.

    The source is recognised by its content; the name counts only for tar archives too old to have a
    magic number. The tree appears at ``into`` whole or not at all.

    Args:
        source: A folder, a wheel, a Debian package or a tar archive (plain, gzip, xz, zstd).
        into: The tree's path. It must not exist, but its parent must.
        limits: The largest tree to accept.
        system: Whether the source's paths are relative to the root of a system. A Debian package's
            always are.

    Returns:
        Patterns of what an installer of the source writes among its files.

    Raises:
        UnfitSourceError: The source is missing, unreadable, corrupt, of another kind, or contains
            what a component cannot contain: paths or links that leave the tree, devices, a path
            twice, no file at all, or more than the limits.
        UnpackError: ``into`` exists or cannot be written.
    """
    if os.path.lexists(into):
        raise UnpackError(f"{into} already exists", hint="Name a path that does not exist yet")
    fill, is_package = _unpacker_for(source)
    if source.is_dir() and into.resolve().is_relative_to(source.resolve()):
        raise UnpackError(f"{into} is inside {source}", hint="Name a path outside of it")
    try:
        return _build(fill, into, limits or Limits(), system or is_package)
    except (UnfitSourceError, InvalidRecordError) as error:
        raise UnfitSourceError(
            f"{source} cannot be used as a source: {error.message}",
            hint=error.hint or "Remove it from the source and build it again",
        ) from error
    except OSError as error:
        path = f" ({error.filename})" if error.filename else ""
        raise UnpackError(
            f"{source} could not be unpacked to {into}: {error.strerror or error}{path}",
            hint=_hint_for(error),
        ) from error


def _build(fill: _Fill, into: Path, limits: Limits, system: bool) -> tuple[str, ...]:
    root = Path(tempfile.mkdtemp(prefix=".unpack-", dir=into.parent))
    tree = TreeBuilder(root, limits, system=system)
    try:
        written = fill(tree)
        tree.finish()
        root.rename(into)
        return written or ()
    except BaseException:
        tree.discard()
        raise


def _unpacker_for(source: Path) -> tuple[_Fill, bool]:
    """Return what unpacks a source, and whether it is a package of a system."""
    try:
        if source.is_dir():
            return lambda tree: unpack_directory(source, tree), False
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
        return _from_file(source, unpack_wheel), False
    if is_deb(head):
        return _from_file(source, unpack_deb), True
    offset, magic = _TAR_MAGIC
    if is_compressed(head) or head.startswith(magic, offset) or source.suffix == ".tar":
        return _from_file(source, unpack_tar), False
    raise UnfitSourceError(f"{source} is not a source that Repoint supports", hint=_KINDS)


def _from_file(source: Path, unpack: Callable[..., tuple[str, ...] | None]) -> _Fill:
    def fill(tree: TreeBuilder) -> tuple[str, ...] | None:
        with source.open("rb") as stream:
            return unpack(stream, tree)

    return fill


def _hint_for(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space and try again"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "Run as a user who may read the source and write there"
    return "Check the path and try again"
