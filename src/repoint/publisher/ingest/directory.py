"""A folder as a component's source."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from repoint.publisher.ingest.builder import TreeBuilder
from repoint.publisher.ingest.errors import UnfitSourceError

_SKIPPED = "__pycache__"
"""Folders that the interpreter creates next to the code it runs."""


def unpack_directory(source: Path, tree: TreeBuilder) -> None:
    """Copy a folder with its modes, times and links, except ``__pycache__``.

    Raises:
        UnfitSourceError: It contains a device, socket or pipe, or a link that leads out.
        OSError: A file cannot be read.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(source / folder) as items:
            entries = sorted(items, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _add(entry, path, tree):
                folders.append(path)


def _add(entry: os.DirEntry[str], path: str, tree: TreeBuilder) -> bool:
    # True for a folder to descend into.
    info = entry.stat(follow_symlinks=False)
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        if entry.name == _SKIPPED:
            return False
        tree.add_folder(path, mode=mode, mtime_ns=info.st_mtime_ns)
        return True
    if stat.S_ISLNK(info.st_mode):
        tree.add_link(path, os.readlink(entry.path), mtime_ns=info.st_mtime_ns)
    elif stat.S_ISREG(info.st_mode):
        # If a pipe replaced the file meanwhile, do not wait for its writer.
        source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tree.copy_file(path, source, mode=mode, mtime_ns=info.st_mtime_ns)
        finally:
            os.close(source)
    else:
        raise UnfitSourceError(
            f"{path!r} is a device, a socket or a pipe",
            hint="A component has files, folders and links; remove it",
        )
    return False
