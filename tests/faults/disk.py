"""The possible states of a disk after a power cut, from a recording of an operation.

While an operation runs, the folder is read before each call that changes or syncs it. So the
recording knows what each call changed: names, contents, permissions. A power cut keeps what was
synced. Of the rest it keeps any part, in any order, within these rules:

- the names that one call changes are changed together or not at all (a rename, also between two
  folders, and an exchange; this is what journals are for);
- a change of a name is not kept without the earlier changes of that name and of other names of the
  same file; the removal of a folder is not kept without the removal of its contents;
- `fsync` of a file keeps its content and its permissions, but not its name; `fsync` of a folder
  keeps its names and its permissions, but not its own name; `syncfs` keeps everything;
- content that was not synced is kept, or from the first byte that differs from the synced content
  on it is lost, truncated or zeros.

So nothing is assumed about the order of two calls without a sync between them. Every file system in
use guarantees more than this.
"""

from __future__ import annotations

import hashlib
import os
import random
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from tests.faults.tracing import Call, Decision, Trace, run_traced

Name = tuple[int, str]
"""A folder's node, and a name in it."""
Damage = Callable[[bytes, bytes], bytes]
"""Returns what is left of a file's content, from the durable and the written content."""
_ROOT = 1


class Node(NamedTuple):
    """A folder, file or link. ``data`` is the content of a file or the target of a link."""

    kind: str
    mode: int
    data: bytes = b""


class Change(NamedTuple):
    """A part of the changes of one call that is kept or lost as a whole."""

    call: int
    names: tuple[tuple[Name, int | None], ...] = ()
    node: int = 0
    data: bytes | None = None
    mode: int | None = None
    needs: frozenset[int] = frozenset()


@dataclass
class _Look:
    """The state of the folder at one moment."""

    nodes: dict[int, Node] = field(default_factory=dict)
    names: dict[Name, int] = field(default_factory=dict)
    inodes: dict[int, int] = field(default_factory=dict)


@dataclass
class State:
    """A possible content of a disk: what is at each path.

    ``links`` names the node of a file, so that hard links remain one file.
    """

    paths: dict[str, tuple[int, Node]]

    @property
    def digest(self) -> str:
        digest = hashlib.sha256()
        for path, (_, node) in sorted(self.paths.items()):
            digest.update(repr((path, node)).encode())
        return digest.hexdigest()

    def put(self, folder: Path) -> None:
        """Write this state to an empty folder."""
        made: dict[int, Path] = {}
        folders = []
        for path, (number, node) in sorted(self.paths.items()):
            place = folder / path
            if number in made and node.kind == "file":
                os.link(made[number], place)
            elif node.kind == "folder":
                place.mkdir()
                folders.append((place, node.mode))
            elif node.kind == "link":
                place.symlink_to(os.fsdecode(node.data))
            else:
                place.write_bytes(node.data)
                place.chmod(node.mode)
            made[number] = place
        for place, mode in reversed(folders):
            place.chmod(mode)


class Recording:
    """What each call of an operation changed and synced."""

    def __init__(self, folder: Path, action: Callable[[], object]) -> None:
        self._folder = folder
        self._next = _ROOT
        self._last = self._look(_Look())
        self.first = self._last
        self.nodes = dict(self.first.nodes)
        self.changes: list[Change] = []
        self.syncs: list[tuple[int, int | None]] = []
        self._touched: dict[Name | int, int] = {}
        self.trace: Trace = run_traced(action, folder, self._record)
        self._note(len(self.trace.calls))

    def _record(self, call: Call) -> Decision:
        self._note(call.number - 1)
        node = self._last.inodes.get(call.inode)
        if call.what.sync and node is not None:
            self.syncs.append((call.number, None if call.what.name == "syncfs" else node))
        return "go"

    def _note(self, call: int) -> None:
        """Record what the last call changed."""
        now, before = self._look(self._last), self._last
        self._last = now
        self.nodes |= {n: node for n, node in now.nodes.items() if n not in self.nodes}
        touched = sorted(n for n in now.names.keys() | before.names.keys())
        names = tuple(
            (name, now.names.get(name))
            for name in touched
            if now.names.get(name) != before.names.get(name)
        )
        if names:
            self._add(Change(call, names, needs=self._needed(names, before)))
        for number, node in now.nodes.items():
            old = before.nodes.get(number, self.nodes[number])
            if node.kind == "file" and node.data != old.data:
                self._add(Change(call, node=number, data=node.data))
            if node.mode != old.mode:
                self._add(Change(call, node=number, mode=node.mode))

    def _needed(self, names: tuple[tuple[Name, int | None], ...], before: _Look) -> frozenset[int]:
        needed, here = set(), len(self.changes)
        for name, node in names:
            gone = before.names.get(name)
            for key in (name, node, gone):
                if key is not None and key in self._touched:
                    needed.add(self._touched[key])
            if node is None and gone is not None and before.nodes[gone].kind == "folder":
                needed |= {i for i, c in enumerate(self.changes) if _is_in(gone, c)}
        for name, node in names:
            for key in (name, node, before.names.get(name)):
                if key is not None:
                    self._touched[key] = here
        return frozenset(needed)

    def _add(self, change: Change) -> None:
        self.changes.append(change)

    def _look(self, last: _Look) -> _Look:
        look = _Look()

        def take(path: str) -> int:
            status = os.lstat(path)
            number = last.inodes.get(status.st_ino) or look.inodes.get(status.st_ino)
            if number is None:
                number, self._next = self._next, self._next + 1
            look.inodes[status.st_ino] = number
            mode = stat.S_IMODE(status.st_mode)
            if stat.S_ISDIR(status.st_mode):
                look.nodes[number] = Node("folder", mode)
                for name in os.listdir(path):
                    look.names[number, name] = take(f"{path}/{name}")
            elif stat.S_ISLNK(status.st_mode):
                look.nodes[number] = Node("link", 0, os.fsencode(os.readlink(path)))
            else:
                look.nodes[number] = Node("file", mode, Path(path).read_bytes())
            return number

        take(str(self._folder))
        return look

    def synced(self, cut: int) -> set[int]:
        """Return the changes that a power cut after call number `cut` cannot undo."""
        kept: set[int] = set()
        for call, node in self.syncs:
            if call <= cut:
                found = enumerate(self.changes)
                kept |= {
                    i
                    for i, c in found
                    if c.call < call and (node is None or c.node == node or _is_in(node, c))
                }
        return self._with_needed(kept)

    def _with_needed(self, kept: set[int]) -> set[int]:
        # The list has each change after the changes that it depends on.
        for number in range(len(self.changes) - 1, -1, -1):
            if number in kept:
                kept |= self.changes[number].needs
        return kept

    def states(self, cut: int, tries: int, seed: str) -> Iterator[State]:
        """Yield possible states of the disk after a power cut.

        First the states that keep all names but no content, for each way in which content can be
        lost; then the state that keeps only what it must; then random ones.

        Args:
            cut: The number of calls before the power cut.
            tries: The number of random states.
            seed: The seed of the random choice.
        """
        must = self.synced(cut)
        may = [i for i, c in enumerate(self.changes) if c.call <= cut and i not in must]
        every = must | set(may)
        for damage in _DAMAGES:
            yield self._state(every, must, _always(damage))
        yield self._state(must, must, _always(_lost))
        chance = random.Random(f"{seed} {cut}")
        for _ in range(tries):
            share, kept = chance.choice((0.2, 0.5, 0.8, 0.95)), set(must)
            for number in may:
                change = self.changes[number]
                if chance.random() < share and change.needs <= kept:
                    kept.add(number)
            yield self._state(kept, must, lambda: chance.choice((*_DAMAGES, _whole)))

    def _state(self, kept: set[int], must: set[int], damage: Callable[[], Damage]) -> State:
        nodes, names = dict(self.nodes), dict(self.first.names)
        unsynced: dict[int, bytes] = {}
        for number in sorted(kept):
            change = self.changes[number]
            for name, node in change.names:
                names.pop(name, None)
                if node is not None:
                    names[name] = node
            if change.mode is not None:
                nodes[change.node] = nodes[change.node]._replace(mode=change.mode)
            if change.data is not None:
                if number not in must:
                    unsynced.setdefault(change.node, nodes[change.node].data)
                else:
                    unsynced.pop(change.node, None)
                nodes[change.node] = nodes[change.node]._replace(data=change.data)
        for number, durable in unsynced.items():
            file = nodes[number]
            nodes[number] = file._replace(data=damage()(durable, file.data))
        below: dict[int, list[tuple[str, int]]] = {}
        for (folder, inside), number in names.items():
            below.setdefault(folder, []).append((inside, number))
        paths: dict[str, tuple[int, Node]] = {}

        def place(folder: int, path: str) -> None:
            for name, number in below.get(folder, ()):
                paths[f"{path}{name}"] = (number, nodes[number])
                place(number, f"{path}{name}/")

        place(_ROOT, "")
        return State(paths)


def _is_in(folder: int, change: Change) -> bool:
    return any(name[0] == folder for name, _ in change.names)


def _same(durable: bytes, written: bytes) -> int:
    """Return the length of the common beginning, in bytes."""
    pairs = enumerate(zip(durable, written, strict=False))
    return next((n for n, (a, b) in pairs if a != b), min(len(durable), len(written)))


def _lost(durable: bytes, _written: bytes) -> bytes:
    return durable


def _whole(_durable: bytes, written: bytes) -> bytes:
    return written


def _zeros(durable: bytes, written: bytes) -> bytes:
    same = _same(durable, written)
    return written[:same] + bytes(len(written) - same)


def _short(durable: bytes, written: bytes) -> bytes:
    same = _same(durable, written)
    return written[: (same + len(written)) // 2]


def _always(damage: Damage) -> Callable[[], Damage]:
    return lambda: damage


_DAMAGES: tuple[Damage, ...] = (_lost, _zeros, _short)
