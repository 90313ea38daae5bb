"""Which running processes use a tree, read from the kernel's own account of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from repoint.model.system import HIERARCHIES


@dataclass(frozen=True)
class Use:
    """A process that runs from a tree.

    Attributes:
        pid: The process.
        name: Its name, as the kernel tells it.
        seal: The seal of the tree.
        files: Files of the tree that are mapped, relative to it.
        held: Whether the process was started through the launcher, and so gets everything from
            this one tree until it ends.
    """

    pid: int
    name: str
    seal: str
    files: tuple[str, ...]
    held: bool


@dataclass(frozen=True)
class SharedFile:
    """A file that lies among others of the system, and of which there are several versions.

    Attributes:
        inside: Its path in its component.
        seals: The number of each version that is known by it, and the seal of its tree.
        otherwise: The seal of what has another number.
        images: The same as ``seals`` for what is merged as an image. These numbers are small, so
            the base may have the same: they count only on another device than the base's.
        base: The device of the base, as the kernel writes it.
    """

    inside: str
    seals: Mapping[int, str]
    otherwise: str
    images: Mapping[int, str] = field(default_factory=dict)
    base: str = ""

    def known(self, device: str, number: int) -> str | None:
        """The seal of the version that a file is, if its number tells."""
        if device != self.base and number in self.images:
            return self.images[number]
        return self.seals.get(number)


@dataclass(frozen=True)
class Census:
    """All processes that use a store's trees.

    Attributes:
        uses: One for each process and tree.
        unreadable: How many processes belong to others and could not be looked at.
    """

    uses: tuple[Use, ...]
    unreadable: int


def take_census(
    trees: Path,
    adopted: Mapping[str, str] | None = None,
    shared: Mapping[str, SharedFile] | None = None,
) -> Census:
    """Look at all processes: their memory maps, programs and open files.

    A folder that a process merely stands in does not count: nothing runs from it.

    Args:
        trees: The folder of the sealed trees.
        adopted: Folders that trees were adopted from, and their seals. The folders are gone, but
            a program that was started before still runs from them.
        shared: Files of the system by their path. They count only where they are mapped.
    """
    places = _Places(os.path.realpath(trees) + "/", dict(adopted or {}), dict(shared or {}))
    uses: list[Use] = []
    unreadable = 0
    for pid in _pids():
        try:
            uses.extend(_uses(pid, places))
        except PermissionError:
            unreadable += 1
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return Census(tuple(uses), unreadable)


def _pids() -> list[int]:
    me = os.getpid()
    return [int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) != me]


def _uses(pid: int, places: _Places) -> list[Use]:
    process = f"/proc/{pid}"
    with open(f"{process}/maps", "rb") as file:  # tells whether we may look at all
        maps = file.read()
    touched: dict[str, set[str]] = {}
    for marker in places.markers():
        if marker in maps:
            for line in maps.splitlines():
                place = line.find(marker)
                if place >= 0:
                    places.note(os.fsdecode(line[place:]), touched)
    if places.shared and _has_our_root(process):
        places.note_shared(maps, touched)
    places.note(_readlink(f"{process}/exe"), touched)
    held = set()
    for number in os.listdir(f"{process}/fd"):
        path = _readlink(f"{process}/fd/{number}")
        places.note(path, touched)
        if path.startswith(places.trees) and "/" not in path[len(places.trees) :]:
            held.add(path[len(places.trees) :])
    if not touched:
        return []
    name = Path(process, "comm").read_text(errors="replace").strip()
    return [
        Use(pid, name, seal, tuple(sorted(files - {""})), seal in held)
        for seal, files in sorted(touched.items())
    ]


def _has_our_root(process: str) -> bool:
    """Whether a path means to the process what it means to us: a container has files of its own."""
    return os.path.samestat(Path(process, "root").stat(), Path("/").stat())


@dataclass(frozen=True)
class _Places:
    """Where trees are, or were: the folder of all, single folders and files with their seals."""

    trees: str
    adopted: dict[str, str]
    shared: dict[str, SharedFile]

    def markers(self) -> list[bytes]:
        """What a line of a memory map holds if it speaks of one of the places."""
        return [place.encode() for place in (self.trees, *self.adopted)]

    def note(self, path: str, touched: dict[str, set[str]]) -> None:
        """Add the path to what was touched of its tree, if it is in one."""
        path = path.removesuffix(" (deleted)")
        if path.startswith(self.trees):
            seal, _, inside = path[len(self.trees) :].partition("/")
            touched.setdefault(seal, set()).add(inside)
            return
        for folder, seal in self.adopted.items():
            if path.startswith(folder):
                touched.setdefault(seal, set()).add(path[len(folder) :])

    def note_shared(self, maps: bytes, touched: dict[str, set[str]]) -> None:
        """Add the files of the system that are mapped, each as the version that it is.

        A line is `address perms offset dev inode path`: proc_pid_maps(5). Of a file that was
        mapped through a merge that is gone, the path begins below /usr or /opt.
        """
        for line in maps.splitlines():
            fields = line.split(maxsplit=5)
            if len(fields) < 6:
                continue
            path, device = os.fsdecode(fields[5]).removesuffix(" (deleted)"), fields[3].decode()
            file = self.shared.get(path)
            if file is not None:
                seal = file.known(device, int(fields[4])) or file.otherwise
                touched.setdefault(seal, set()).add(file.inside)
                continue
            for hierarchy in HIERARCHIES:
                file = self.shared.get(hierarchy + path)
                known = file.known(device, int(fields[4])) if file is not None else None
                if file is not None and known is not None:
                    touched.setdefault(known, set()).add(file.inside)


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
