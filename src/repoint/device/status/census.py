"""The census: which running processes use a store's trees.

A file counts by its device and inode number, whatever its name is and through whichever mount a
process sees it. A path counts only for files that were removed, of processes whose mounts are ours.
See ``docs/decisions/0037-how-processes-are-judged.md``.
"""

from __future__ import annotations

import contextlib
import functools
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from repoint.device.status.allowance import Allowances, ExhaustedError
from repoint.device.status.past import Past, start_time
from repoint.device.status.suspicion import Given, Judge, Reason
from repoint.device.status.tree_index import TreeFile, TreeIndex
from repoint.device.store.product_state import ProductState
from repoint.device.store.store import Store
from repoint.device.store.trees.launches import recorded_seals
from repoint.device.strategy.strategy import strategy_of
from repoint.device.strategy.traces import Traces
from repoint.host.host import Host
from repoint.host.kernel.memory_maps import MappedFile, distinct, mapped_files, mapped_inodes
from repoint.host.kernel.processes import FileIdentity, OpenFile, Process, ProcessIdentity
from repoint.model.errors import RepointError
from repoint.model.system import HIERARCHIES


class Use(msgspec.Struct, frozen=True):
    """A process that runs from a tree.

    Attributes:
        pid: The process.
        name: The kernel's name for it.
        seal: The seal of the tree.
        files: Files of the tree that it has mapped or open, relative to the tree.
        held: True if the process was started through the launcher, and so gets everything from
            this one tree until it ends.
        runs: True if it runs code of the tree; False if it only reads files of it.
        contained: True if it is in a container: in a pid namespace other than ours.
        foreign: True if neither root nor the account that owns the store has started it.
        why: Why the process may run code of the tree, if no file shows it; empty if one does.
    """

    pid: int
    name: str
    seal: str
    files: tuple[str, ...]
    held: bool = False
    runs: bool = True
    contained: bool = False
    foreign: bool = False
    why: Reason = ""

    @property
    def counts(self) -> bool:
        """Whether it is a user of the component, not another account's reader of its files."""
        return self.runs or not self.foreign

    @property
    def closes(self) -> bool:
        """Whether a restart closes it: it surely uses the tree, or is the component's program."""
        return self.counts and self.why in ("", "program")


class Census(msgspec.Struct, frozen=True):
    """All processes that use a store's trees.

    Attributes:
        uses: One for each process and tree.
        suspects: The same for processes that may have read code of the tree and closed it.
        kept: The seals of the trees that processes were launched with.
        unreadable: When each process that may matter and could not be inspected, or was too much to
            inspect, was started, in seconds since 1970; 0 if that is unknown.
        hidden: True if processes that may matter cannot even be listed.
        identities: What names each of the processes for good, by its pid.
    """

    uses: tuple[Use, ...] = ()
    unreadable: tuple[float, ...] = ()
    identities: Mapping[int, ProcessIdentity] = msgspec.field(default_factory=dict)
    suspects: tuple[Use, ...] = ()
    kept: frozenset[str] = frozenset()
    hidden: bool = False


def census_of(store: Store, host: Host) -> Census:
    """Inspect all processes: their memory maps, programs and open files.

    The working directory of a process does not count: nothing runs from it. A program that was
    started before the enrolment still runs from the folder that was at the graft point then. That
    folder is gone, but it had the seal of the baseline.
    """
    observed: list[_Observed] = []
    unreadable: list[float] = []
    allowances = Allowances({0, store.path.stat().st_uid})
    # Programs of other accounts run from root's store; from a person's own, only that person's.
    is_shared = store.path.stat().st_uid == 0
    for process in host.processes.all():
        try:
            if not process.is_kernel_thread():
                identity = process.identity()
                with allowances.of(identity.user) as spend:
                    observed.append(_Observed.of(process.bounded(spend), identity))
        except ExhaustedError:
            unreadable.append(start_time(identity.started, host.boot))
        except PermissionError:
            # An init process that even root may not inspect belongs to who runs this machine.
            if is_shared and (process.pid != 1 or os.geteuid() != 0):
                unreadable.append(_start_of(process, host))
        except (FileNotFoundError, ProcessLookupError):
            continue  # It ended meanwhile.
    trees = _Trees(store, host, observed)
    uses: list[Use] = []
    kept: set[str] = set()
    identities = {}
    for seen in observed:
        identity = seen.identity
        try:
            with allowances.of(identity.user):
                launched = trees.launched_with(seen, identity)
                found = list(trees.uses_of(seen, identity, launched))
        except ExhaustedError:
            unreadable.append(start_time(identity.started, host.boot))
            continue
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        if found:
            identities[identity.pid] = identity
        uses += found
        kept |= launched
    return Census(
        tuple(use for use in uses if not use.why),
        tuple(unreadable),
        identities,
        tuple(use for use in uses if use.why),
        frozenset(kept),
        hidden=not host.processes.are_visible(of_all_accounts=is_shared),
    )


def seals_in_use(store: Store, host: Host) -> set[str]:
    """Return the seals of the trees that processes run from, or may run from."""
    census = census_of(store, host)
    if census.hidden:
        return set(_trees_of(store).values())
    return {use.seal for use in (*census.uses, *census.suspects)} | census.kept


def _start_of(process: Process, host: Host) -> float:
    try:
        return start_time(process.started(), host.boot)
    except OSError:
        return 0.0


class _Observed(msgspec.Struct, frozen=True, dict=True):
    """What was read of a process in a first pass over all of them."""

    process: Process
    identity: ProcessIdentity
    memory_map: bytes
    open_files: list[OpenFile]
    program: FileIdentity | None
    given: Given

    @classmethod
    def of(cls, process: Process, identity: ProcessIdentity) -> _Observed:
        return cls(
            process,
            identity,
            process.memory_map(),
            process.open_files(),
            process.executable_identity(),
            Given.to(process, identity.started),
        )

    @functools.cached_property
    def inodes(self) -> set[int]:
        """The inode numbers of all files that it uses, or that it was given."""
        identities = [self.program, *(identity for _, identity in self.given.places)]
        return (
            mapped_inodes(self.memory_map)
            | {file.inode for file in self.open_files}
            | {identity[1] for identity in identities if identity is not None}
        )


class _Found:
    """The files of trees that one process uses."""

    def __init__(self) -> None:
        self.suspects: dict[str, Reason] = {}
        self.files: dict[str, set[str]] = {}
        self.held: set[str] = set()
        self.runs: set[str] = set()

    def add(self, file: TreeFile | None, *, runs: bool = False) -> None:
        """Add a file, if it is one of a tree."""
        if file is not None:
            self.files.setdefault(file.seal, set()).add(file.path)
            if runs:
                self.runs.add(file.seal)


class _Trees:
    """How to recognise files of trees."""

    def __init__(self, store: Store, host: Host, observed: list[_Observed]) -> None:
        self._store = str(store.path)
        self._given = {seen.process.pid: seen.given for seen in observed}
        self._asking = host.processes.ancestors()
        self._traces = _traces_of(store, host)
        self._gone = self._traces.adopted
        folders = {folder.rstrip("/"): seal for folder, seal in self._gone.items()}
        inodes = {inode for seen in observed for inode in seen.inodes}
        self._index = TreeIndex({**_trees_of(store), **folders}, inodes)
        self._folder = f"{os.path.realpath(store.trees)}/"
        self._past = Past(store, host.boot)
        shared = {p: TreeFile(file.other, file.path) for p, file in self._traces.shared.items()}
        self._judge = Judge(self._past, self._index, self._folder, shared, host.systemd)
        self._owners = {0, store.path.stat().st_uid}
        self._devices = set(_devices_in_maps(host, self._index))

    def launched_with(self, seen: _Observed, identity: ProcessIdentity) -> set[str]:
        """Return the trees that the launcher says a process was started with.

        A process can say that of itself. So it only keeps trees, and changes no verdict.
        """
        named = {Path(tree).name for tree in seen.given.trees if self._is_tree(tree)}
        recorded = recorded_seals(self._store, identity.pid, identity.started)
        return named | {seal for seal in recorded if self._is_tree(self._folder + seal)}

    def uses_of(
        self, seen: _Observed, identity: ProcessIdentity, launched: set[str]
    ) -> Iterator[Use]:
        """Yield the trees that a process uses, or may use."""
        process, found = seen.process, _Found()
        if not self._index.inodes.isdisjoint(seen.inodes) or self._may_be_gone(seen):
            self._find(seen, found)
        if self._traces.shared and process.has_our_root():
            for mapped in distinct(mapped_files(seen.memory_map)):
                process.spend(0)
                found.add(self._find_shared(mapped), runs=True)
        self._find_suspicions(seen, found)
        if not found.files and not found.suspects:
            return
        make = functools.partial(
            Use,
            process.pid,
            process.name(),
            contained=not process.shares("pid"),
            foreign=identity.user not in self._owners,
        )
        for seal, paths in sorted(found.files.items()):
            files = tuple(sorted(paths - {""}))
            held = seal in found.held | launched
            yield make(seal, files, held=held, runs=seal in found.runs)
        for seal, why in sorted(found.suspects.items()):
            yield make(seal, (), held=seal in launched, why=why)

    def _find_suspicions(self, seen: _Observed, found: _Found) -> None:
        suspects: dict[str, Reason] = {}
        started = self._start(seen)
        for suspicion in self._judge.suspicions(seen.process, seen.given, started):
            seen.process.spend(0)
            if not suspicion.why:
                found.add(suspicion.file, runs=True)
            elif seen.process.pid not in self._asking:
                suspects.setdefault(suspicion.file.seal, suspicion.why)
        used = {self._past.component_of(seal) for seal in found.files}
        found.suspects = {
            seal: why for seal, why in suspects.items() if self._past.component_of(seal) not in used
        }

    def _start(self, seen: _Observed) -> int:
        """Return when a process has read its code. A copy of its parent has what that has read."""
        given, started = seen.given, seen.given.started
        parent = self._given.get(given.parent)
        while parent is not None and given.is_fork_of(parent) and parent.started <= started:
            seen.process.spend(0)
            given, started = parent, parent.started
            parent = self._given.get(given.parent)
        return started

    def _is_tree(self, path: str) -> bool:
        return path.startswith(self._folder) and "/" not in path[len(self._folder) :]

    def _find(self, seen: _Observed, found: _Found) -> None:
        process = seen.process
        # Only root can mount other files over our paths for a process in our user namespace.
        paths_are_ours = process.shares("user") and process.has_our_root()
        for mapped in distinct(mapped_files(seen.memory_map)):
            process.spend(0)
            file = self._find_mapped(process, mapped)
            if file is None and mapped.deleted and paths_are_ours:
                file = self._find_gone(mapped.path)
            found.add(file, runs=mapped.executable)
        found.add(self._index.find(seen.program, process.executable()), runs=True)
        for opened in seen.open_files:
            file = None
            if opened.inode in self._index.inodes:
                file = self._index.find(process.identity_of_open(opened), opened.path)
            if file is None and opened.deleted and paths_are_ours:
                file = self._find_gone(opened.path)
            found.add(file)
            if file is not None and not file.path:
                found.held.add(file.seal)

    def _may_be_gone(self, seen: _Observed) -> bool:
        folders = (self._folder, *self._gone)
        return any(os.fsencode(folder) in seen.memory_map for folder in folders) or any(
            opened.deleted and opened.path.startswith(folders) for opened in seen.open_files
        )

    def _find_mapped(self, process: Process, mapped: MappedFile) -> TreeFile | None:
        if mapped.inode not in self._index.inodes:
            return None
        try:
            return self._index.find(process.identity_of_mapped(mapped), mapped.path)
        except PermissionError:
            # Only root may ask for more than the device that memory maps give.
            if mapped.device not in self._devices:
                return None
            return self._index.find_on_any_device(mapped.inode, mapped.path)

    def _find_gone(self, path: str) -> TreeFile | None:
        """Return the file that was at a path until it was removed, if it was one of a tree."""
        if path.startswith(self._folder):
            seal, _, inside = path[len(self._folder) :].partition("/")
            return TreeFile(seal, inside) if inside else None
        for folder, seal in self._gone.items():
            if path.startswith(folder):
                return TreeFile(seal, path[len(folder) :])
        return None

    def _find_shared(self, mapped: MappedFile) -> TreeFile | None:
        """Return the tree's file that a mapped file of the system is a version of.

        The path of a file that was mapped through a merge which is gone begins below /usr or /opt.
        """
        shared = self._traces.shared
        file = shared.get(mapped.path)
        if file is not None:
            seal = file.seal_of(mapped.device, mapped.inode) or file.other
            return TreeFile(seal, file.path)
        for hierarchy in HIERARCHIES:
            file = shared.get(hierarchy + mapped.path)
            known = file.seal_of(mapped.device, mapped.inode) if file is not None else None
            if file is not None and known is not None:
                return TreeFile(known, file.path)
        return None


def _traces_of(store: Store, host: Host) -> Traces:
    traces = Traces()
    for state in store.enrolled():
        # What is damaged is reported by the commands for that product.
        with contextlib.suppress(RepointError, OSError):
            traces |= _traces_of_product(state, host)
    return traces


def _traces_of_product(state: ProductState, host: Host) -> Traces:
    traces = Traces()
    active = state.links.active()
    if active is None:
        return traces
    seals = state.generations.seals(active.baseline)
    for point in state.documents.enrolment().grafts:
        if point.component in seals:
            seal = seals[point.component]
            traces |= strategy_of(point, host).traces(state, point, seal)
    return traces


def _trees_of(store: Store) -> dict[str, str]:
    """Return the folders of the store's trees, with the seals of the trees."""
    try:
        names = os.listdir(store.trees)
    except OSError:
        return {}
    return {f"{store.trees}/{name}": name for name in sorted(names) if not name.startswith(".")}


def _devices_in_maps(host: Host, index: TreeIndex) -> Iterator[str]:
    """Yield the devices of the trees' files as memory maps write them."""
    for path in index.one_file_on_each_device():
        with contextlib.suppress(OSError, ValueError):
            yield host.processes.device_in_maps(Path(path))
