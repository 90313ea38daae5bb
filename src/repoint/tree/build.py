"""Construction of sealed trees: unchanged files are shared, new ones moved into place."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from repoint.fs.clone import clone_content, copy_file
from repoint.fs.durable import set_mode
from repoint.model.tree import Entry


@dataclass(frozen=True)
class TreeFiles:
    """The files that a tree is built from, by their path in the tree.

    Attributes:
        new: Finished files with new content, on the same file system. They are moved into the tree.
        reused: Existing files to reuse unchanged: cloned if the file system can share blocks, else
            hard-linked, or copied if the permissions differ.
        modified: Modification time of the new files, in seconds since 1970. It differs between two
            improvements, so that a cache keyed by time and size (such as Python's bytecode cache)
            never confuses them.
        share: Whether reused files may be hard-linked. False if others may still write to them.
    """

    new: Mapping[str, Path]
    reused: Mapping[str, Path]
    modified: int = 0
    share: bool = True

    @classmethod
    def copied_from(cls, tree: Path, entries: Iterable[Entry]) -> TreeFiles:
        """Return the files of another tree, to be copied because others may write to them."""
        return cls({}, files_in(tree, entries), share=False)


def files_in(tree: Path, entries: Iterable[Entry]) -> dict[str, Path]:
    """Return the location of every file of a tree, by its path in the tree."""
    return {entry.path: tree / entry.path for entry in entries if entry.kind == "file"}


def build_tree(target: Path, entries: Iterable[Entry], files: TreeFiles) -> None:
    """Build a sealed tree. It is synced to disk, but not verified.

    Args:
        target: The new tree's path; must not exist.
        entries: The entries of the tree.
        files: A file for each entry of that kind.

    Raises:
        OSError: The disk is full, or a file cannot be read or written.
    """
    target.mkdir(mode=0o700)
    folders = [(target, 0o555)]
    for entry in sorted(entries, key=lambda entry: entry.path.split("/")):
        path = target / entry.path
        if entry.kind == "folder":
            path.mkdir(mode=0o700)
            folders.append((path, entry.mode))
        elif entry.kind == "link":
            path.symlink_to(entry.target)
        elif entry.path in files.new:
            files.new[entry.path].rename(path)
            os.utime(path, (files.modified, files.modified), follow_symlinks=False)
            set_mode(path, entry.mode)
        else:
            _reuse(files.reused[entry.path], path, entry.mode, files.share)
    # Children first: nothing can be created in a folder once it is read-only.
    for folder, mode in reversed(folders):
        set_mode(folder, mode)


def _reuse(source: Path, path: Path, mode: int, share: bool) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with source.open("rb") as old, os.fdopen(os.open(path, flags, 0o600), "wb") as new:
        cloned = clone_content(old.fileno(), new.fileno())
    if not cloned:
        path.unlink()
        if share and source.stat().st_mode & 0o7777 == mode:
            path.hardlink_to(source)
            return
        copy_file(source, path)
    shutil.copystat(source, path)
    set_mode(path, mode)
