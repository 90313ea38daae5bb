"""Laying out an improvement as a system extension: a folder that systemd merges over the base.

It holds what the improvement changes and adds, under the names they have on the system, whiteouts
for what it removes, and the file by which systemd knows for which system it was made. One extension
holds all components of a product, so that one mount puts all of them in force.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from repoint.device.errors import NotApplicableError
from repoint.device.store.records import GraftPoint
from repoint.fs.clone import copy_file
from repoint.fs.durable import make_folder, sync, write_new
from repoint.fs.removal import remove_tree
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent
from repoint.model.system import release_fields, release_file, release_text, why_unfit
from repoint.model.tree import Entry
from repoint.tree.compare import changed, hidden


@dataclass(frozen=True)
class ExtensionPart:
    """One component of an extension.

    Attributes:
        point: Where it stands on the system.
        tree: Its tree in the store.
        before: What the baseline holds.
        after: What the tree holds.
    """

    point: GraftPoint
    tree: Path
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]

    def changed(self) -> list[Entry]:
        """What is other than in the baseline, or new, in path order."""
        return changed(self.before, self.after)

    def removed(self) -> list[Entry]:
        """Files and links that are gone."""
        return hidden(self.before, self.after)


def on_system(point: GraftPoint, path: str) -> str:
    """A component's path as the system has it, without the slash before it."""
    return os.path.join(point.path, path).lstrip("/")  # noqa: PTH118  # text, not a place


def check_base(point: GraftPoint, component: Component) -> None:
    """Refuse a component that no system extension could improve.

    Raises:
        NotApplicableError: Some of it lies outside of what an extension can hold.
    """
    for entry in component.entries:
        _require_fit(component.name, on_system(point, entry.path), entry.kind)


def check_layer(point: GraftPoint, component: Component, improved: ImprovedComponent) -> None:
    """Refuse a layer that no system extension can bring.

    Raises:
        NotApplicableError: It is such a one.
    """
    known = {entry.path: entry for entry in component.entries}
    for change in improved.layer.changes:
        entry = change.entry
        path = on_system(point, entry.path)
        _require_fit(component.name, path, entry.kind)
        before = known.get(entry.path)
        if before is not None and before.kind == "folder" and entry.kind != "folder":
            raise NotApplicableError(
                f"The layer of {component.name} puts a {entry.kind} in the place of the folder "
                f"/{path}, in which other files may lie",
                hint="Tell the vendor; nothing was installed",
            )


def build_extension(
    place: Path, product: str, parts: Iterable[ExtensionPart], system: dict[str, str]
) -> None:
    """Lay out an extension; the commit point is the rename to its place.

    Args:
        place: Where to put it, on the file system of the trees.
        product: The product whose layers these are.
        parts: The components that differ from the baseline.
        system: ``ID`` and ``VERSION_ID`` of the system it is made for.

    Raises:
        OSError: It cannot be written.
    """
    if place.is_dir():
        return
    beside = place.with_name(f".new-{place.name}")
    remove_tree(beside)
    make_folder(beside)
    for part in parts:
        for entry in part.changed():
            _put(beside, part, entry)
        for entry in part.removed():
            gone = beside / on_system(part.point, entry.path)
            _make_parents(beside, gone)
            os.mknod(gone, stat.S_IFCHR, os.makedev(0, 0))
    release = beside / release_file(product)
    _make_parents(beside, release)
    write_new(release, release_text(system).encode())
    for folder, _, files in os.walk(beside, topdown=False):
        for file in files:
            if stat.S_ISREG(Path(folder, file).lstat().st_mode):
                sync(Path(folder, file))
        sync(Path(folder))
    beside.rename(place)
    sync(place.parent)


def release_in(extension: Path, product: str) -> dict[str, str]:
    """For which system an extension was made."""
    return release_fields((extension / release_file(product)).read_text())


def _put(extension: Path, part: ExtensionPart, entry: Entry) -> None:
    place = extension / on_system(part.point, entry.path)
    _make_parents(extension, place)
    if entry.kind == "folder":
        place.mkdir(mode=0o700, exist_ok=True)
        # A sealed mode has no write bits. For its owner a folder of the system has them.
        place.chmod(entry.mode | 0o200)
    elif entry.kind == "link":
        place.symlink_to(entry.target)
    else:
        source = part.tree / entry.path
        try:
            place.hardlink_to(source)
        except OSError:
            copy_file(source, place)


def _make_parents(extension: Path, place: Path) -> None:
    """Make the folders above a path as the system has them: in the merged view, ours count."""
    missing = []
    folder = place.parent
    while folder != extension and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700)
        try:
            status = Path("/", folder.relative_to(extension)).stat()
        except FileNotFoundError:
            folder.chmod(0o755)
            continue
        os.chown(folder, status.st_uid, status.st_gid)
        folder.chmod(stat.S_IMODE(status.st_mode))


def _require_fit(component: str, path: str, kind: str) -> None:
    why = why_unfit(path, kind)
    if why:
        raise NotApplicableError(
            f"/{path} of {component} {why}", hint="Tell the vendor; nothing was installed"
        )
