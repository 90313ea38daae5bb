"""Construction of sealed trees: unchanged files are shared, new ones moved into place."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from repoint.fs.clone import clone_content, copy_content, create_private
from repoint.fs.durable import sync_filesystem
from repoint.fs.folders import Descent, in_batches, located, open_folder, open_regular
from repoint.model.tree import Entry
from repoint.tree.privileges import is_privileged


class TreeFiles(msgspec.Struct, frozen=True):
    """The files that a tree is built from, by their path in the tree.

    Attributes:
        new: Finished files with new content, on the same file system. They are moved into the tree.
        tree: An existing tree.
        reused: Files of the existing tree to reuse unchanged, by their path there: cloned if the
            file system can share blocks, else hard-linked, or copied if the permissions differ.
        modified: Modification time of the new files, in seconds since 1970. It differs between two
            improvements, so that a cache keyed by time and size (such as Python's bytecode cache)
            never confuses them.
        share: Whether reused files may be hard-linked. False if others may still write to them.
    """

    new: Mapping[str, Path]
    tree: Path
    reused: Mapping[str, str]
    modified: int = 0
    share: bool = True

    @classmethod
    def copied_from(cls, tree: Path, entries: Iterable[Entry]) -> TreeFiles:
        """Return the files of another tree, to be copied because others may write to them."""
        return cls({}, tree, files_in(entries), share=False)


def files_in(entries: Iterable[Entry]) -> dict[str, str]:
    """Return the path of every file of a tree, by its path in the tree."""
    return {entry.path: entry.path for entry in entries if entry.kind == "file"}


def build_tree(
    target: Path, entries: Iterable[Entry], files: TreeFiles, *, mode: int = 0o555
) -> None:
    """Build a sealed tree. It is synced to disk, but not verified.

    No link is followed in either tree, even if another account exchanges names meanwhile.

    Args:
        target: The new tree's path; must not exist.
        entries: The entries of the tree.
        files: A file for each entry of that kind.
        mode: Permission bits of the new tree's own folder.

    Raises:
        OSError: The disk is full, or a file cannot be read or written.
    """
    target.mkdir(mode=0o700)
    new, old = open_folder(target), open_folder(files.tree)
    try:
        ordered = sorted(entries, key=lambda entry: entry.path.split("/"))
        folders = [entry for entry in ordered if entry.kind == "folder"]
        build = _Build(target, files, new, old)
        with Descent(new) as into:
            for entry in folders:
                with located(target, entry.path):
                    above, _, name = entry.path.rpartition("/")
                    os.mkdir(name, 0o700, dir_fd=into.open(above))
            in_batches([entry for entry in ordered if entry.kind != "folder"], build.add_all)
            # Children first: nothing can be created in a folder once it is read-only.
            for entry in reversed(folders):
                os.fchmod(into.open(entry.path), entry.mode)
        os.fchmod(new, mode)
        sync_filesystem(new)
    finally:
        os.close(new)
        os.close(old)


class _Build:
    """A tree that is being built, whose folders exist.

    Args:
        target: Its path, for messages.
        files: What it is built from.
        new: Its folder.
        old: The folder of the existing tree.
    """

    def __init__(self, target: Path, files: TreeFiles, new: int, old: int) -> None:
        self._target = target
        self._files = files
        self._new = new
        self._old = old
        self._can_clone = True

    def add_all(self, entries: Sequence[Entry]) -> None:
        """Add files and links."""
        with Descent(self._new) as into, Descent(self._old) as source:
            for entry in entries:
                with located(self._target, entry.path):
                    self._add(entry, into, source)

    def _add(self, entry: Entry, into: Descent, source: Descent) -> None:
        above, _, name = entry.path.rpartition("/")
        folder = into.open(above)
        if entry.kind == "link":
            os.symlink(entry.target, name, dir_fd=folder)
        elif entry.path in self._files.new:
            os.rename(self._files.new[entry.path], name, dst_dir_fd=folder)
            file = open_regular(name, within=folder)
            try:
                os.utime(file, (self._files.modified, self._files.modified))
                os.fchmod(file, entry.mode)
            finally:
                os.close(file)
        else:
            self._reuse(entry, name, folder, source)

    def _reuse(self, entry: Entry, name: str, folder: int, source: Descent) -> None:
        above, _, old_name = self._files.reused[entry.path].rpartition("/")
        old_folder = source.open(above)
        old = open_regular(old_name, within=old_folder)
        try:
            status = os.fstat(old)
            is_same = status.st_mode & 0o7777 == entry.mode and not is_privileged(status)
            if self._files.share and is_same and not self._can_clone:
                os.link(old_name, name, src_dir_fd=old_folder, dst_dir_fd=folder)
                return
            new = create_private(name, within=folder)
            try:
                self._can_clone = self._can_clone and clone_content(old, new)
                if not self._can_clone:
                    if self._files.share and is_same:
                        os.unlink(name, dir_fd=folder)
                        os.link(old_name, name, src_dir_fd=old_folder, dst_dir_fd=folder)
                        return
                    copy_content(old, new)
                os.utime(new, ns=(status.st_atime_ns, status.st_mtime_ns))
                os.fchmod(new, entry.mode)
            finally:
                os.close(new)
        finally:
            os.close(old)
