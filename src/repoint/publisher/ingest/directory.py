"""A folder as a component's source."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from repoint.publisher.ingest.builder import TreeBuilder
from repoint.publisher.ingest.errors import UnfitSourceError

_LEFT_OUT = "__pycache__"
"""Folders that the interpreter fills by itself beside the code it runs."""


def unpack_directory(source: Path, tree: TreeBuilder) -> None:
    """Copy a folder with its modes, times and links, but without ``__pycache__``.

    Raises:
        UnfitSourceError: It holds a device, a socket or a pipe, or a link that leads out.
        OSError: Something in it cannot be read.
    """
    folders = [""]
    while folders:
        folder = folders.pop()
        with os.scandir(source / folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = f"{folder}/{entry.name}" if folder else entry.name
            if _add(entry, path, tree):
                folders.append(path)


def _add(entry: os.DirEntry[str], path: str, tree: TreeBuilder) -> bool:
    # True for a folder that is still to be walked.
    info = entry.stat(follow_symlinks=False)
    mode = stat.S_IMODE(info.st_mode)
    if stat.S_ISDIR(info.st_mode):
        if entry.name == _LEFT_OUT:
            return False
        tree.add_folder(path, mode=mode, mtime_ns=info.st_mtime_ns)
        return True
    if stat.S_ISLNK(info.st_mode):
        tree.add_link(path, os.readlink(entry.path), mtime_ns=info.st_mtime_ns)
    elif stat.S_ISREG(info.st_mode):
        # Should a pipe have taken the file's place meanwhile, do not wait for its writer.
        source = os.open(entry.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            tree.copy_file(path, source, mode=mode, mtime_ns=info.st_mtime_ns)
        finally:
            os.close(source)
    else:
        raise UnfitSourceError(
            f"{path!r} is a device, a socket or a pipe",
            hint="A component holds files, folders and links; take it out",
        )
    return False
