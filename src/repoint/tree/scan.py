"""Reading of trees from disk."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.errors import UnfitTreeError

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
    try:
        entries = list(_walk(root, "", ignore, progress))
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
    """Read one path; ``name`` is the path in the entry.

    Raises:
        InvalidRecordError: It is not a file, link or folder, or its name or link target is not
            allowed.
        OSError: It cannot be read.
    """
    status = path.lstat()
    mode = stat.S_IMODE(status.st_mode) & ~0o222
    if stat.S_ISLNK(status.st_mode):
        return Entry(path=name, kind="link", target=str(path.readlink()))
    if stat.S_ISDIR(status.st_mode):
        return Entry(path=name, kind="folder", mode=mode)
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRecordError(f"{name!r} is a device, socket or pipe")
    size, sha256 = digest_file(path)
    return Entry(path=name, kind="file", mode=mode, size=size, sha256=sha256)


def digest_file(path: Path) -> tuple[int, str]:
    """Return the size in bytes and the SHA-256 of a file, from a single read. Links are refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    with os.fdopen(descriptor, "rb") as file:
        digest = hashlib.file_digest(file, "sha256")
        return file.tell(), digest.hexdigest()


def _walk(
    root: Path, below: str, ignore: tuple[str, ...], progress: Callable[[int], None] | None
) -> Iterator[Entry]:
    with os.scandir(root / below) as items:
        names = sorted(item.name for item in items)
    for name in names:
        path = f"{below}/{name}" if below else name
        if is_ignored(path, ignore):
            continue
        entry = read_entry(root / path, path)
        if progress is not None and entry.kind == "file":
            progress(entry.size)
        yield entry
        if entry.kind == "folder":
            yield from _walk(root, path, ignore, progress)
