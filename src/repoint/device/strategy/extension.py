"""A layer of the system as a folder that systemd merges over the base: a system extension.

It holds what the improvement changes and adds, at the paths of the system, whiteouts for what it
removes, and the file that tells systemd which system it was made for. One extension holds all
components of a product, so one mount puts all of them in force.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from repoint.device.errors import NotApplicableError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, GraftPoint
from repoint.fs.clone import copy_file
from repoint.fs.durable import make_folder, sync, sync_tree, write_new
from repoint.fs.removal import remove_tree
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent
from repoint.model.system import release_fields, release_file, release_text, why_unfit
from repoint.model.tree import Entry
from repoint.tree.compare import changed, hidden


@dataclass(frozen=True)
class ComponentLayer:
    """What one component of the system changes in a generation.

    Attributes:
        point: The component's graft point on the system.
        tree: Its tree in the store.
        before: The entries of the baseline.
        after: The entries of the tree.
    """

    point: GraftPoint
    tree: Path
    before: tuple[Entry, ...]
    after: tuple[Entry, ...]

    def changed(self) -> list[Entry]:
        """Return the entries that are new or differ from the baseline, in path order."""
        return changed(self.before, self.after)

    def removed(self) -> list[Entry]:
        """Return the files and links of the baseline that are gone."""
        return hidden(self.before, self.after)


def layers_of(
    state: ProductState, points: Sequence[GraftPoint], generation: Generation
) -> list[ComponentLayer]:
    """Return the layers of the components that differ from the baseline in a generation.

    Args:
        state: The product.
        points: The graft points of its components of the system.
        generation: The generation.
    """
    generations = state.generations
    changed_seals = generations.changed_seals(generation.baseline, generation)
    return [
        ComponentLayer(
            point,
            state.store.tree(changed_seals[point.component]),
            generations.entries(generation.baseline, point.component),
            generations.entries(generation, point.component),
        )
        for point in points
        if point.component in changed_seals
    ]


def extension_path(state: ProductState, generation: Generation) -> Path:
    """Return where the extension of a generation is laid out."""
    return state.path / "extensions" / generation.folder


def path_on_system(point: GraftPoint, path: str) -> str:
    """Return a component's path on the system, without the leading slash."""
    return os.path.join(point.path, path).lstrip("/")  # noqa: PTH118  # text, not a file


def check_base(point: GraftPoint, component: Component) -> None:
    """Refuse a component that no system extension could improve.

    Raises:
        NotApplicableError: It has a path that an extension cannot hold.
    """
    for entry in component.entries:
        _require_fit(component.name, path_on_system(point, entry.path), entry.kind)


def check_layer(point: GraftPoint, component: Component, improved: ImprovedComponent) -> None:
    """Refuse a layer that no system extension can put in force.

    Raises:
        NotApplicableError: It has a path that an extension cannot hold or change.
    """
    known = {entry.path: entry for entry in component.entries}
    for change in improved.layer.changes:
        entry = change.entry
        path = path_on_system(point, entry.path)
        _require_fit(component.name, path, entry.kind)
        before = known.get(entry.path)
        if before is not None and before.kind == "folder" and entry.kind != "folder":
            raise NotApplicableError(
                f"The layer of {component.name} replaces the folder /{path}, in which other files "
                f"may lie, by a {entry.kind}",
                hint="Report it to the vendor; nothing was installed",
            )


def build_extension(
    path: Path, product: str, layers: Iterable[ComponentLayer], system: dict[str, str]
) -> None:
    """Lay out an extension; the commit point is the rename to its path.

    Args:
        path: Where to lay it out, on the file system of the trees. Kept if it exists.
        product: The product.
        layers: The layers of its components.
        system: ``ID`` and ``VERSION_ID`` of the system that it is made for.

    Raises:
        OSError: It cannot be written.
    """
    if path.is_dir():
        return
    temporary = path.with_name(f".new-{path.name}")
    remove_tree(temporary)
    make_folder(temporary)
    for layer in layers:
        for entry in layer.changed():
            _add(temporary, layer, entry)
        for entry in layer.removed():
            whiteout = temporary / path_on_system(layer.point, entry.path)
            _make_parents(temporary, whiteout)
            os.mknod(whiteout, stat.S_IFCHR, os.makedev(0, 0))
    release = temporary / release_file(product)
    _make_parents(temporary, release)
    write_new(release, release_text(system).encode())
    sync_tree(temporary)
    temporary.rename(path)
    sync(path.parent)


def release_in(extension: Path, product: str) -> dict[str, str]:
    """Return ``ID`` and ``VERSION_ID`` of the system that an extension was made for."""
    return release_fields((extension / release_file(product)).read_text())


def _add(extension: Path, layer: ComponentLayer, entry: Entry) -> None:
    path = extension / path_on_system(layer.point, entry.path)
    _make_parents(extension, path)
    if entry.kind == "folder":
        path.mkdir(exist_ok=True)
        # A sealed mode has no write bits. On the system, a folder's owner may write to it.
        path.chmod(entry.mode | 0o200)
    elif entry.kind == "link":
        path.symlink_to(entry.target)
    else:
        source = layer.tree / entry.path
        try:
            path.hardlink_to(source)
        except OSError:
            copy_file(source, path)
            path.chmod(entry.mode)  # the tree may be at rest, without its privileges


def _make_parents(extension: Path, path: Path) -> None:
    """Make the folders above a path as the system has them: in the merged view, ours count."""
    missing = []
    folder = path.parent
    while folder != extension and not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for folder in reversed(missing):
        folder.mkdir()
        try:
            status = Path("/", folder.relative_to(extension)).stat()
        except FileNotFoundError:
            folder.chmod(0o755)
            continue
        os.chown(folder, status.st_uid, status.st_gid)
        folder.chmod(stat.S_IMODE(status.st_mode))


def _require_fit(component: str, path: str, kind: str) -> None:
    reason = why_unfit(path, kind)
    if reason:
        raise NotApplicableError(
            f"/{path} of {component} {reason}",
            hint="Report it to the vendor; nothing was installed",
        )
