"""Which running processes use a tree, read from the kernel's own account of them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path


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
    files: frozenset[str]
    held: bool


@dataclass(frozen=True)
class Census:
    """All processes that use a store's trees.

    Attributes:
        uses: One for each process and tree.
        unreadable: How many processes belong to others and could not be looked at.
    """

    uses: tuple[Use, ...]
    unreadable: int


def take_census(trees: Path) -> Census:
    """Look at all processes: their memory maps, programs and open files.

    A folder that a process merely stands in does not count: nothing runs from it.

    Args:
        trees: The folder of the sealed trees.
    """
    prefix = os.path.realpath(trees) + "/"
    uses: list[Use] = []
    unreadable = 0
    for pid in _pids():
        try:
            uses.extend(_uses(pid, prefix))
        except PermissionError:
            unreadable += 1
        except (FileNotFoundError, ProcessLookupError):
            continue  # it ended while we looked
    return Census(tuple(uses), unreadable)


def users_of(census: Census, seals: Iterable[str]) -> list[Use]:
    """The uses of some trees."""
    wanted = set(seals)
    return [use for use in census.uses if use.seal in wanted]


def _pids() -> list[int]:
    me = os.getpid()
    return [int(n) for n in os.listdir("/proc") if n.isdigit() and int(n) != me]


def _uses(pid: int, prefix: str) -> list[Use]:
    process = f"/proc/{pid}"
    marker = prefix.encode()
    # errors of the first read tell whether the process can be looked at at all
    with open(f"{process}/maps", "rb") as file:
        maps = file.read()
    touched: dict[str, set[str]] = {}
    if marker in maps:
        for line in maps.splitlines():
            place = line.find(marker)
            if place >= 0:
                _note(touched, os.fsdecode(line[place:]), prefix)
    _note(touched, _readlink(f"{process}/exe"), prefix)
    held = set()
    for number in os.listdir(f"{process}/fd"):
        path = _readlink(f"{process}/fd/{number}")
        if path.startswith(prefix):
            _note(touched, path, prefix)
            if "/" not in path[len(prefix) :]:
                held.add(path[len(prefix) :])
    if not touched:
        return []
    name = Path(process, "comm").read_text(errors="replace").strip()
    return [
        Use(pid, name, seal, frozenset(files - {""}), seal in held)
        for seal, files in sorted(touched.items())
    ]


def _note(touched: dict[str, set[str]], path: str, prefix: str) -> None:
    if path.startswith(prefix):
        seal, _, inside = path[len(prefix) :].removesuffix(" (deleted)").partition("/")
        touched.setdefault(seal, set()).add(inside)


def _readlink(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""
