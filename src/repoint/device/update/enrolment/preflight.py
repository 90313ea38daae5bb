"""The checks before an enrolment: what would fail later is refused before anything is made.

What the store must be able to hold depends on the component: one without programs may lie on a
file system that runs none.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.strategy import strategy_of, strategy_type
from repoint.fs.clone import clone_content
from repoint.host.host import Host
from repoint.host.run import find_program
from repoint.model.baseline import Baseline
from repoint.model.errors import RepointError
from repoint.model.tree import Entry

_ELF = b"\x7fELF"

Sources = Mapping[str, Path]
"""For each component, the folder that its tree is copied from."""


def require_store(store: Store) -> None:
    """Refuse a store that cannot be one.

    Raises:
        EnrolmentRefusedError: It is a file, or something else has the name of its lock.
    """
    path = store.path
    if os.path.lexists(path) and not path.is_dir():
        raise EnrolmentRefusedError(
            f"The store {path} is not a folder", hint="Name a folder with --store"
        )
    lock = path / "lock"
    if not os.path.lexists(lock):
        return
    status = lock.lstat()
    if not stat.S_ISREG(status.st_mode):
        raise EnrolmentRefusedError(
            f"Cannot change the store {path}: {lock} is not a lock of Repoint",
            hint="Move it away, or name another store with --store",
        )
    if status.st_uid != os.geteuid():
        raise EnrolmentRefusedError(
            f"Cannot change the store {path}: {lock} belongs to another account (uid "
            f"{status.st_uid})",
            hint="Run it as that account, or name another store with --store",
        )


def require_points(
    state: ProductState,
    host: Host,
    points: Sequence[GraftPoint],
    *,
    new: Sequence[GraftPoint] | None = None,
) -> None:
    """Refuse graft points that cannot be taken over, and programs that do not exist.

    Args:
        state: The product.
        host: The machine.
        points: All graft points.
        new: Those that are not taken over yet; None for all.

    Raises:
        EnrolmentRefusedError: The message names the first.
    """
    for one in points:
        for other in points:
            if one is not other and _conflict(one, other):
                raise EnrolmentRefusedError(
                    f"The graft points of {one.component} and {other.component} overlap",
                    hint="Name a separate folder for each component",
                )
    _refuse_points_of_others(state, points)
    for point in points if new is None else new:
        _require_program(point)
        strategy_of(point, host).require_usable(state, point)


def require_place(
    state: ProductState,
    baseline: Baseline,
    points: Iterable[GraftPoint],
    sources: Sources,
) -> None:
    """Refuse a store that cannot hold the trees of a baseline, or from which they would not run.

    Raises:
        EnrolmentRefusedError: Programs would not run from there, or the space does not suffice.
    """
    for point in points:
        component = baseline.component(point.component)
        if component is not None and strategy_type(point.strategy).runs_from_store:
            _require_flags(state.store, point, component.entries, sources[point.component])
    _require_space(state.store, baseline, sources)


def _conflict(one: GraftPoint, other: GraftPoint) -> bool:
    """Return whether a graft point lies in another whose files its strategy cannot tell apart."""
    strategy, other_strategy = strategy_type(one.strategy), strategy_type(other.strategy)
    if strategy is other_strategy and strategy.shares_folders:
        return False
    inner, outer = strategy.reach(one), other_strategy.reach(other)
    if any(path.is_relative_to(folder) for path in inner for folder in outer):
        return True
    # The same folder by another path, such as a bind mount.
    return any(_is_same(a, b) for a in inner for b in outer)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return os.path.samestat(one.lstat(), other.lstat())
    except OSError:
        return False


def _refuse_points_of_others(state: ProductState, points: Sequence[GraftPoint]) -> None:
    for other in state.store.enrolled():
        if other.name == state.name:
            continue
        try:
            theirs = other.documents.enrolment().grafts
        except RepointError:
            continue  # a damaged record is reported by that product's own commands
        for one in points:
            for their in theirs:
                if _conflict(one, their) or _conflict(their, one):
                    raise EnrolmentRefusedError(
                        f"{one.path} and {their.path} of {other.name} overlap",
                        hint="Name a folder that belongs to this product alone",
                    )


def _require_program(point: GraftPoint) -> None:
    if point.program and find_program(point.program[0]) is None:
        raise EnrolmentRefusedError(
            f"There is no program {point.program[0]} to start {point.component} with",
            hint="Check its name, or give its full path with --program",
        )


def _require_flags(
    store: Store, point: GraftPoint, entries: tuple[Entry, ...], source: Path
) -> None:
    """Refuse a file system that takes from programs what they have where they are now."""
    taken = os.statvfs(existing_parent(store.path)).f_flag & ~os.statvfs(source).f_flag
    if taken & os.ST_NOEXEC:
        path = next((e.path for e in entries if _is_executed(source, e)), None)
        if path is not None:
            raise EnrolmentRefusedError(
                f"The store {store.path} is on a file system mounted noexec, so {path} of "
                f"{point.component} would no longer run",
                hint="Name a store on another file system with --store, or mount it with exec",
            )
    if taken & os.ST_NOSUID:
        path = next((e.path for e in entries if e.kind == "file" and e.mode & 0o6000), None)
        if path is not None:
            raise EnrolmentRefusedError(
                f"The store {store.path} is on a file system mounted nosuid, so {path} of "
                f"{point.component} would lose the rights of its owner",
                hint="Name a store on another file system with --store, or mount it with suid",
            )


def _is_executed(source: Path, entry: Entry) -> bool:
    """Return whether a file is a program or a library, which the kernel maps as code."""
    if entry.kind != "file":
        return False
    if entry.mode & 0o111:
        return True
    try:
        with (source / entry.path).open("rb") as file:
            return file.read(len(_ELF)) == _ELF
    except OSError:
        return False


def _require_space(store: Store, baseline: Baseline, sources: Sources) -> None:
    place = existing_parent(store.path)
    number, size = 0, 0
    for component in baseline.components:
        if store.tree(component.seal).is_dir() or component.name not in sources:
            continue
        source = sources[component.name]
        number += len(component.entries) + 1
        if not _shares_blocks(source, component.entries, place):
            size += sum(_allocated(source / e.path) for e in component.entries if e.kind == "file")
    disk = os.statvfs(place)
    free = disk.f_bavail * disk.f_frsize
    if size > free:
        raise EnrolmentRefusedError(
            f"The disk is full: could not enrol {baseline.product}, whose copy needs "
            f"{size / 1e6:.1f} MB, and {free / 1e6:.1f} MB are free at {place}",
            hint="Free some space and try again, or name a store on another file system",
        )
    # A file system that makes its inodes as they are needed gives 0 as their number.
    if disk.f_files and number > disk.f_favail:
        raise EnrolmentRefusedError(
            f"The copy of {baseline.product} needs {number} inodes, and {disk.f_favail} are free "
            f"at {place}",
            hint="Remove some files and try again, or name a store on another file system",
        )


def _allocated(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0


def _shares_blocks(source: Path, entries: tuple[Entry, ...], place: Path) -> bool:
    """Try out whether the store's file system can share blocks with the files of a tree."""
    if source.stat().st_dev != place.stat().st_dev:
        return False
    path = next((e.path for e in entries if e.kind == "file" and e.size), None)
    if path is None:
        return True
    try:
        with (source / path).open("rb") as old, tempfile.TemporaryFile(dir=place) as new:
            return clone_content(old.fileno(), new.fileno())
    except OSError:
        return False


def existing_parent(path: Path) -> Path:
    """Return a path, or the nearest folder above it that exists."""
    while not path.exists():
        path = path.parent
    return path
