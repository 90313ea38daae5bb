"""The running processes: their accounts, and the trees that they run from."""

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


@dataclass(frozen=True)
class Owner:
    """The account of a process, and what the process was started with.

    Attributes:
        user: The number of the account.
        group: The number of its group.
        groups: The numbers of its supplementary groups.
        environment: The environment of the process.
    """

    user: int
    group: int
    groups: tuple[int, ...]
    environment: dict[str, str]


class Processes:
    """The running processes of a machine.

    Args:
        proc: The proc file system.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def pids(self) -> list[int]:
        """Return the numbers of all processes but this one."""
        own = os.getpid()
        names = (path.name for path in self._proc.iterdir())
        return [int(name) for name in names if name.isdigit() and int(name) != own]

    def owner_of(self, pid: int) -> Owner | None:
        """Return the owner of a process; None if it has ended or may not be inspected."""
        process = self._proc / str(pid)
        try:
            lines = (process / "status").read_text().splitlines()
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return None
        status = dict(line.split(":", 1) for line in lines)
        pairs = (os.fsdecode(variable).partition("=") for variable in variables if b"=" in variable)
        return Owner(
            # The real numbers: a set-user-id program's effective ones are not its owner's.
            int(status["Uid"].split()[0]),
            int(status["Gid"].split()[0]),
            tuple(int(number) for number in status["Groups"].split()),
            {name: value for name, _, value in pairs},
        )

    def command_line(self, pid: int) -> tuple[str, ...]:
        """Return the arguments of a process; empty if it has ended or may not be inspected."""
        try:
            words = (self._proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return ()
        return tuple(word.decode(errors="replace") for word in words if word)

    def take_census(
        self,
        trees: Path,
        adopted: Mapping[str, str] | None = None,
        shared: Mapping[str, SharedFile] | None = None,
    ) -> Census:
        """Inspect all processes: their memory maps, programs and open files.

        The working directory of a process does not count: nothing runs from it.

        Args:
            trees: The folder of the sealed trees.
            adopted: Folders that trees were adopted from, and their seals. The folders are gone,
                but a program that was started before still runs from them.
            shared: Files of the system by their path. They count only if they are mapped.
        """
        places = _Places(os.path.realpath(trees) + "/", dict(adopted or {}), dict(shared or {}))
        uses: list[Use] = []
        unreadable = 0
        for pid in self.pids():
            try:
                uses.extend(_uses(self._proc / str(pid), places))
            except PermissionError:
                unreadable += 1
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended meanwhile.
        return Census(tuple(uses), unreadable)


def _uses(process: Path, places: _Places) -> list[Use]:
    maps = (process / "maps").read_bytes()  # Fails if we may not inspect the process at all.
    touched: dict[str, set[str]] = {}
    for marker in places.markers():
        if marker in maps:
            for line in maps.splitlines():
                start = line.find(marker)
                if start >= 0:
                    places.note(os.fsdecode(line[start:]), touched)
    if places.shared and _has_our_root(process):
        places.note_shared(maps, touched)
    places.note(_readlink(f"{process}/exe"), touched)
    held = set()
    for number in os.listdir(process / "fd"):
        path = _readlink(f"{process}/fd/{number}")
        places.note(path, touched)
        if path.startswith(places.trees) and "/" not in path[len(places.trees) :]:
            held.add(path[len(places.trees) :])
    if not touched:
        return []
    name = (process / "comm").read_text(errors="replace").strip()
    return [
        Use(int(process.name), name, seal, tuple(sorted(files - {""})), seal in held)
        for seal, files in sorted(touched.items())
    ]


def _has_our_root(process: Path) -> bool:
    """Return whether paths mean the same to the process as to us; a container has its own files."""
    return os.path.samestat((process / "root").stat(), Path("/").stat())


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
