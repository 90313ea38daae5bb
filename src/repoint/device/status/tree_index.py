"""Which files are files of trees, by device and inode: the same for every name and every mount."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping

import msgspec

from repoint.host.kernel.processes import FileIdentity


class TreeFile(msgspec.Struct, frozen=True):
    """A file or folder of a tree.

    Attributes:
        seal: The seal of the tree.
        path: Its path in the tree; empty for the tree's own folder.
    """

    seal: str
    path: str


class TreeIndex:
    """The files of trees that some process may use.

    Args:
        trees: The folders of the trees, with the seals of the trees.
        inodes: The inode numbers that processes use, of any device. Only these are kept, so the
            trees are read once and little is held in memory.
    """

    def __init__(self, trees: Mapping[str, str], inodes: Collection[int]) -> None:
        self._files: dict[FileIdentity, list[TreeFile]] = {}
        self._examples: dict[int, str] = {}
        for folder, seal in trees.items():
            for path, inode in _walk(folder):
                if inode in inodes:
                    self._add(path, TreeFile(seal, path[len(folder) + 1 :]))
        self.inodes = {inode for _, inode in self._files}

    def find(self, identity: FileIdentity | None, path: str = "") -> TreeFile | None:
        """Return the file of a tree that is this very file; None if it is no tree's.

        Args:
            identity: The identity of the file.
            path: A path of the file. If several trees hold the same file under different names,
                it decides between them.
        """
        found = self._files.get(identity, []) if identity is not None else []
        named = (file for file in found if f"/{file.seal}/" in f"{path}/")
        return next(named, found[-1] if found else None)

    def find_on_any_device(self, inode: int, path: str = "") -> TreeFile | None:
        """Return the file of a tree that has this inode number; see `find`."""
        devices = {device for device, _ in self._files}
        found = (self.find((device, inode), path) for device in devices)
        return next((file for file in found if file is not None), None)

    def one_file_on_each_device(self) -> list[str]:
        """Return the path of one file, not a folder, on each device."""
        return list(self._examples.values())

    def _add(self, path: str, file: TreeFile) -> None:
        try:
            status = os.lstat(path)
        except OSError:
            return  # The tree is being removed.
        self._files.setdefault((status.st_dev, status.st_ino), []).append(file)
        if stat.S_ISREG(status.st_mode) and status.st_size:
            self._examples.setdefault(status.st_dev, path)


def _walk(tree: str) -> Iterator[tuple[str, int]]:
    """Yield the path and the inode number of a tree's folder and of everything in it."""
    try:
        yield tree, os.lstat(tree).st_ino
    except OSError:
        return
    folders = [tree]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    yield entry.path, entry.inode()
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
        except OSError:
            continue
