"""Memory maps of processes, as the kernel writes them (proc_pid_maps(5))."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator

import msgspec

DELETED = " (deleted)"
"""What the kernel appends to the path of a file that was removed."""

_INODE = re.compile(rb"^\S+ \S+ \S+ \S+ ([1-9]\d*) ", re.MULTILINE)


class MappedFile(msgspec.Struct, frozen=True):
    """A file that a process has mapped into its memory.

    Attributes:
        path: Its path, as the kernel gives it, without the mark of a removed file.
        device: The device of its file system, as memory maps write it: ``fd:01``.
        inode: Its inode number.
        addresses: Where it is mapped, as the kernel names it below ``map_files``.
        executable: True if it is mapped as code.
        deleted: True if it was removed.
    """

    path: str
    device: str
    inode: int
    addresses: str = ""
    executable: bool = False
    deleted: bool = False


def mapped_files(memory_map: bytes) -> Iterator[MappedFile]:
    """Return the files in a memory map.

    A line is ``address perms offset dev inode path``.
    """
    for line in memory_map.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[4] != b"0":
            path = os.fsdecode(fields[5])
            yield MappedFile(
                path.removesuffix(DELETED),
                fields[3].decode(),
                int(fields[4]),
                fields[0].decode(),
                b"x" in fields[1],
                path.endswith(DELETED),
            )


def distinct(files: Iterable[MappedFile]) -> Iterator[MappedFile]:
    """Return one of the mappings of each file, as code and otherwise: a process can have many."""
    seen = set()
    for file in files:
        key = (file.device, file.inode, file.path, file.executable, file.deleted)
        if key not in seen:
            seen.add(key)
            yield file


def mapped_inodes(memory_map: bytes) -> set[int]:
    """Return the inode numbers in a memory map, of all devices."""
    return set(map(int, _INODE.findall(memory_map)))
