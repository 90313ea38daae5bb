"""The census: which running processes use a store's trees."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from repoint.device.store.store import Store
from repoint.device.strategy.strategy import strategy_of
from repoint.device.strategy.traces import Traces
from repoint.host.host import Host
from repoint.host.kernel.processes import MappedFile, Process, ProcessIdentity, mapped_files
from repoint.model.system import HIERARCHIES


@dataclass(frozen=True)
class Use:
    """A process that runs from a tree.

    Attributes:
        pid: The process.
        name: The kernel's name for it.
        seal: The seal of the tree.
        files: Files of the tree that it has mapped or open, relative to the tree.
        held: True if the process was started through the launcher, and so gets everything from
            this one tree until it ends.
    """

    pid: int
    name: str
    seal: str
    files: tuple[str, ...]
    held: bool


@dataclass(frozen=True)
class Census:
    """All processes that use a store's trees.

    Attributes:
        uses: One for each process and tree.
        unreadable: How many processes of other accounts could not be inspected.
        identities: What names each of the processes for good, by its pid.
    """

    uses: tuple[Use, ...]
    unreadable: int
    identities: Mapping[int, ProcessIdentity] = field(default_factory=dict)


def census_of(store: Store, host: Host) -> Census:
    """Inspect all processes: their memory maps, programs and open files.

    The working directory of a process does not count: nothing runs from it. A program that was
    started before the enrolment still runs from the folder that was at the graft point then. That
    folder is gone, but it had the seal of the baseline.
    """
    trees = _Trees(os.path.realpath(store.trees) + "/", _traces_of(store, host))
    uses: list[Use] = []
    unreadable = 0
    identities = {}
    for process in host.processes.all():
        try:
            found = _uses_of(process, trees)
            if found:
                identities[process.pid] = process.identity()
            uses += found
        except PermissionError:
            unreadable += 1
        except (FileNotFoundError, ProcessLookupError):
            continue  # It ended meanwhile.
    return Census(tuple(uses), unreadable, identities)


def seals_in_use(store: Store, host: Host) -> set[str]:
    """Return the seals of the trees that processes run from."""
    return {use.seal for use in census_of(store, host).uses}


def _traces_of(store: Store, host: Host) -> Traces:
    traces = Traces()
    for state in store.enrolled():
        active = state.links.active()
        if active is None:
            continue
        seals = state.generations.seals(active.baseline)
        for point in state.documents.enrolment().grafts:
            if point.component in seals:
                seal = seals[point.component]
                traces |= strategy_of(point, host).traces(state, point, seal)
    return traces


def _uses_of(process: Process, trees: _Trees) -> list[Use]:
    memory_map = process.memory_map()
    files: dict[str, set[str]] = {}
    if any(os.fsencode(folder) in memory_map for folder in trees.folders()):
        for mapped in mapped_files(memory_map):
            for folder in trees.folders():
                # The path begins with another mount's path if the file was mapped through that.
                start = mapped.path.find(folder)
                if start >= 0:
                    trees.note(mapped.path[start:], files)
    if trees.traces.shared and process.has_our_root():
        for mapped in mapped_files(memory_map):
            trees.note_shared(mapped, files)
    trees.note(process.executable(), files)
    held = set()
    for path in process.open_files():
        trees.note(path, files)
        if path.startswith(trees.folder) and "/" not in path[len(trees.folder) :]:
            held.add(path[len(trees.folder) :])
    if not files:
        return []
    name = process.name()
    return [
        Use(process.pid, name, seal, tuple(sorted(paths - {""})), seal in held)
        for seal, paths in sorted(files.items())
    ]


@dataclass(frozen=True)
class _Trees:
    """Where files of trees are, or were.

    Attributes:
        folder: The folder of the store's trees, with a slash at its end.
        traces: How to recognise files outside of it.
    """

    folder: str
    traces: Traces

    def folders(self) -> tuple[str, ...]:
        """Return the folders below which files of trees are, or were."""
        return (self.folder, *self.traces.adopted)

    def note(self, path: str, files: dict[str, set[str]]) -> None:
        """Add a path to the files of its tree, if it is in one."""
        if path.startswith(self.folder):
            seal, _, inside = path[len(self.folder) :].partition("/")
            files.setdefault(seal, set()).add(inside)
            return
        for folder, seal in self.traces.adopted.items():
            if path.startswith(folder):
                files.setdefault(seal, set()).add(path[len(folder) :])

    def note_shared(self, mapped: MappedFile, files: dict[str, set[str]]) -> None:
        """Add a mapped file of the system to the files of the tree that this version belongs to.

        The path of a file that was mapped through a merge which is gone begins below /usr or /opt.
        """
        file = self.traces.shared.get(mapped.path)
        if file is not None:
            seal = file.seal_of(mapped.device, mapped.inode) or file.other
            files.setdefault(seal, set()).add(file.path)
            return
        for hierarchy in HIERARCHIES:
            file = self.traces.shared.get(hierarchy + mapped.path)
            known = file.seal_of(mapped.device, mapped.inode) if file is not None else None
            if file is not None and known is not None:
                files.setdefault(known, set()).add(file.path)
