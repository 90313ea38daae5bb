"""Reading of trees from disk."""

from __future__ import annotations

import fnmatch
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

from repoint.fs.folders import located, open_regular
from repoint.fs.walk import Found, walk
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.errors import UnfitTreeError

_CHUNK = 1 << 20
"""Bytes that are read at once."""

ALWAYS_IGNORED = ("__pycache__",)
"""Folders that interpreters create next to the code they run."""

WRITTEN_BY_INSTALLERS = (
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/direct_url.json",
    "*.dist-info/provenance_url.json",
    "*.dist-info/uv_build.json",
    "*.dist-info/uv_cache.json",
    "[./]lock",
)
"""Files of a wheel that installers write or rewrite on the device (packaging.python.org,
"Recording installed projects"). The last one is uv's lock at the top: a pattern with a slash is
matched against the whole path."""


def scan_tree(
    root: Path,
    *,
    ignore: tuple[str, ...] = ALWAYS_IGNORED,
    progress: Callable[[int], None] | None = None,
) -> tuple[Entry, ...]:
    """Read every path of a tree, without following links.

    Args:
        root: The tree's folder.
        ignore: Shell patterns of paths to leave out, matched against the name, or against the
            whole path if the pattern contains a slash. The content of an ignored folder is
            ignored too.
        progress: Called with the bytes of each file after it is read.

    Returns:
        The entries in the byte order of their paths.

    Raises:
        UnfitTreeError: The folder cannot be read, or contains something that a tree cannot contain.
    """
    if not root.is_dir() or root.is_symlink():
        raise UnfitTreeError(f"{root} is not a folder", hint="Name the folder of the component")
    entries = []
    try:
        for found in walk(root, skip=ignored_by(ignore)):
            with located(root, found.path):
                entry = _entry_of(found)
            entries.append(entry)
            if progress is not None and entry.kind == "file":
                progress(entry.size)
    except InvalidRecordError as error:
        raise UnfitTreeError(
            f"{root} cannot be sealed: {error.message}",
            hint="Remove that path from the component, or correct it",
        ) from None
    except OSError as error:
        raise UnfitTreeError(
            f"{error.filename or root} cannot be read: {error.strerror}",
            hint="Run as a user who may read the whole tree",
        ) from None
    return tuple(sorted(entries, key=lambda entry: entry.path.encode()))


def is_ignored(path: str, ignore: tuple[str, ...]) -> bool:
    """Return whether a path, or a folder above it, matches one of the patterns."""
    parts = path.split("/")
    return any(
        fnmatch.fnmatchcase("/".join(parts[: n + 1]) if "/" in pattern else parts[n], pattern)
        for n in range(len(parts))
        for pattern in ignore
    )


def read_entry(path: Path, name: str) -> Entry:
    """Read one path; ``name`` is the path in the entry. Links above it are followed.

    Raises:
        InvalidRecordError: It is not a file, link or folder, or its name or link target is not
            allowed.
        OSError: It cannot be read.
    """
    above = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        status = os.stat(path.name, dir_fd=above, follow_symlinks=False)
        return _entry_of(Found(name, path.name, above, status))
    finally:
        os.close(above)


def digest_file(path: Path) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a file, from a single read. Links are refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    try:
        return digest_of(descriptor)
    finally:
        os.close(descriptor)


def digest_of(file: int) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of an open file, from a single read."""
    import hashlib  # loads the cryptographic library, which showing the status does not need

    digest = hashlib.sha256()
    size = 0
    while data := os.read(file, _CHUNK):
        digest.update(data)
        size += len(data)
    return size, digest.hexdigest()


def ignored_by(patterns: tuple[str, ...]) -> Callable[[str], bool]:
    """Return a function that says whether a path is left out, if no folder above it is.

    For a walk, it is much faster than `is_ignored`.
    """
    of_names = [_compiled(pattern) for pattern in patterns if "/" not in pattern]
    of_paths = [_compiled(pattern) for pattern in patterns if "/" in pattern]

    def is_left_out(path: str) -> bool:
        name = path.rpartition("/")[2]
        return any(matches(name) for matches in of_names) or any(
            matches(path) for matches in of_paths
        )

    return is_left_out


def _compiled(pattern: str) -> Callable[[str], object]:
    return re.compile(fnmatch.translate(pattern)).match


def _entry_of(found: Found) -> Entry:
    kind = stat.S_IFMT(found.status.st_mode)
    mode = stat.S_IMODE(found.status.st_mode) & ~0o222
    if kind == stat.S_IFLNK:
        target = os.readlink(found.name, dir_fd=found.folder)
        return Entry(path=found.path, kind="link", target=target)
    if kind == stat.S_IFDIR:
        return Entry(path=found.path, kind="folder", mode=mode)
    if kind != stat.S_IFREG:
        raise InvalidRecordError(f"{found.path!r} is a device, socket or pipe")
    file = open_regular(found.name, within=found.folder)
    try:
        size, sha256 = digest_of(file)
    finally:
        os.close(file)
    return Entry(path=found.path, kind="file", mode=mode, size=size, sha256=sha256)
