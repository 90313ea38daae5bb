"""Strategy ``sysext``: a component below /usr or /opt, improved by a layer over an untouched base.

The one mistake that makes overlays dangerous is to leave a layer over a base that has moved on: it
would shadow newer code with older. These rules prevent it; each of them suffices alone.

1. A layer is offered to systemd only in /run, which is empty after every start of the machine.
   Whatever the distribution did while the machine was off, systemd finds nothing to merge.
2. Before a layer is offered, every file of the baseline is read from the base, below anything that
   is merged, and must be the baseline's; so must the system's ID and VERSION_ID.
3. Each later start of Repoint compares again. If the base has moved on, the layer is unmerged
   first, then everything else is done.
4. systemd itself merges only what names its own ID and VERSION_ID, and no layer may shadow the
   file that holds them.
5. While a layer is merged, the view is read-only: an update of the base through that view has to
   unmerge the layer first.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError, SupersededError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Form, Generation, GraftPoint, HistoryEntry
from repoint.device.store.store import Store
from repoint.device.store.trees.in_force import put_in_force
from repoint.device.strategy import extension
from repoint.device.strategy.extension import ComponentLayer, layers_of, path_on_system
from repoint.device.strategy.grafts import require_apart
from repoint.device.strategy.layer_images import image_of, inode_numbers
from repoint.device.strategy.layer_merge import is_merged, merge_layer
from repoint.device.strategy.merged_view import is_unreadable, missing_from_view
from repoint.device.strategy.traces import SharedFile, Traces
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent
from repoint.model.system import HIERARCHIES, extension_name
from repoint.model.tree import Entry
from repoint.tree.compare import Difference, compare_trees


class SysextStrategy:
    """The component's files are not touched; a layer is merged over them."""

    shares_folders = True
    changes_system = True
    runs_from_store = False

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def reach(point: GraftPoint) -> tuple[Path, ...]:
        """Return the graft point, or for / the hierarchies that systemd merges."""
        if point.path == "/":
            return tuple(Path(hierarchy) for hierarchy in HIERARCHIES)
        return (Path(point.path),)

    @staticmethod
    def writable_paths(point: GraftPoint) -> tuple[Path, ...]:
        """Return nothing: no service of Repoint writes to the base."""
        return ()

    def resolve(self, path: Path, store: Store) -> Path:
        """Return the folder that the component's paths are relative to: / or below /usr or /opt."""
        folder = path.resolve()
        inside = any(folder.is_relative_to(hierarchy) for hierarchy in HIERARCHIES)
        if not folder.is_dir() or not (inside or folder == Path("/")):
            raise EnrolmentRefusedError(
                f"{path} is no folder below {' or '.join(HIERARCHIES)}",
                hint="Name / or such a folder for a component of the system, "
                "or enrol it as a tree of its own",
            )
        if folder != Path("/"):
            require_apart(folder, store)
        return folder

    def require_usable(self, state: ProductState, point: GraftPoint) -> None:
        """Do nothing: the base is not touched."""

    @staticmethod
    def scan_key(point: GraftPoint, component: Component) -> tuple[str, ...]:
        """Return the folder and the seal: only the component's own paths are read."""
        return (point.path, component.seal)

    def scan(self, point: GraftPoint, component: Component, source: Path) -> tuple[Entry, ...]:
        """Return those of the component's paths that the base has, as it has them."""
        extension.check_base(point, component)
        paths = tuple(entry.path for entry in component.entries)
        contents = self._host.base.read(point.path, paths)
        if contents.foreign:
            raise EnrolmentRefusedError(
                f"/{path_on_system(point, contents.foreign[0])} belongs to another user than root "
                "or has file capabilities, which a layer would lose",
                hint="Leave it out of the component, or tell the vendor; nothing was changed",
            )
        return contents.entries

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Do nothing: the base is not touched."""

    def forget(self, point: GraftPoint) -> None:
        """Do nothing: nothing was prepared."""

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """Do nothing: the base is not touched."""
        return None

    def finish(self, state: ProductState, point: GraftPoint, component: Component) -> Path | None:
        """Do nothing: the base is not touched."""
        return None

    def give_back(self, state: ProductState, point: GraftPoint, component: Component | None) -> str:
        """Unmerge the product's layer."""
        self._host.sysext.withdraw(extension_name(state.name))
        return ""

    def check_layer(
        self, point: GraftPoint, component: Component, improved: ImprovedComponent
    ) -> None:
        """Refuse a path that no system extension can hold or change."""
        extension.check_layer(point, component, improved)

    def prepare_layers(self, state: ProductState, generation: Generation) -> None:
        """Build the signed image, or lay out the extension if no image is signed."""
        layers = _layers(state, generation)
        if not layers:
            return
        image = image_of(state, generation)
        if image is not None:
            image.build()
            return
        path = extension.extension_path(state, generation)
        extension.build_extension(path, state.name, layers, self._host.base.release())

    def show(self, state: ProductState) -> str:
        """Merge the layer of the active generation, or unmerge it if the base has moved on."""
        active = state.links.active()
        if active is None:
            return ""
        layers = _layers(state, active)
        if not layers:
            self._host.sysext.withdraw(extension_name(state.name))
            return ""
        self._require_base(state, active)
        return merge_layer(state, self._host, active, layers)

    def hide(self, state: ProductState) -> bool:
        """Unmerge the layer, although it is active."""
        merged = is_merged(state, self._host)
        self._host.sysext.withdraw(extension_name(state.name))
        return merged

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether programs see every path of the active layer, and no older layer."""
        active = state.links.active()
        if active is None:
            return True
        layers = _layers(state, active)
        own = [layer for layer in layers if layer.point == point]
        merged = is_merged(state, self._host)
        if not own:
            return not merged or bool(layers)
        return merged and not missing_from_view(own)

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether the base is no longer the baseline's, or of another system.

        A process that cannot read below what is merged, such as a service without privileges,
        leaves that to the next start that can.
        """
        active = state.links.active()
        with contextlib.suppress(CannotMergeError):
            if active is None:
                return False
            differences, release = self._compare_base(state, active, point)
            system = state.generations.baseline(active).system
            return bool(differences) or (system is not None and system.fields() != release)
        return False

    def form(self, state: ProductState, *, verified: bool) -> Form:
        """Return whether a folder or an image is merged, and whether the image is damaged."""
        offered = self._host.sysext.offered(extension_name(state.name))
        active = state.links.active()
        if offered is None or active is None or not is_merged(state, self._host):
            return ""
        if offered.is_dir():
            return "folder"
        return "damaged" if not verified and is_unreadable(_layers(state, active)) else "image"

    def traces(self, state: ProductState, point: GraftPoint, baseline_seal: str) -> Traces:
        """Return the files of the base that some generation changes.

        A file that is merged from a folder is the very file of the extension, which is that of the
        tree by another name; one that is merged from an image has its inode number there. A file
        with another number is what the base held.
        """
        seals: dict[str, dict[int, str]] = {}
        image_seals: dict[str, dict[int, str]] = {}
        for generation in state.generations.all():
            seal = state.generations.seals(generation).get(point.component, baseline_seal)
            if seal == baseline_seal:
                continue
            before = _entries_by_path(state, generation.baseline, point)
            after = _entries_by_path(state, generation, point)
            in_image = inode_numbers(state, generation)
            for path, entry in before.items():
                if entry.kind != "file" or after.get(path) == entry:
                    continue
                known = seals.setdefault(path, {})
                if path in in_image:
                    image_seals.setdefault(path, {})[in_image[path]] = seal
                with contextlib.suppress(OSError):  # The generation removes the file.
                    known[(state.store.tree(seal) / path).stat().st_ino] = seal
        shared = {}
        for path, known in seals.items():
            location = str(Path(point.path, path))
            device = self._host.sysext.device_below(location)
            in_images = image_seals.get(path, {})
            shared[location] = SharedFile(path, known, baseline_seal, in_images, device)
        return Traces(shared=shared)

    def _require_base(self, state: ProductState, active: Generation) -> None:
        """Unmerge the layer and return to the baseline if the base has moved on.

        Raises:
            SupersededError: That was done.
        """
        reason = self._why_superseded(state, active)
        if not reason:
            return
        self._host.sysext.withdraw(extension_name(state.name))
        state.links.clear_staged()
        state.links.clear_previous()
        put_in_force(state, active.baseline)
        note = f"base: {reason}"
        state.history.add(
            HistoryEntry(int(time.time()), "superseded", active.label, note, "automatic")
        )
        raise SupersededError(
            f"{active.label} was unmerged, because the system below it has been updated: {reason}",
            hint="Run `repoint check`; what the update brought is in force",
        )

    def _why_superseded(self, state: ProductState, active: Generation) -> str:
        """Why the active layer must not be merged over the base; empty if it may."""
        reason = ""
        release: dict[str, str] = {}
        for point in _points(state):
            differences, release = self._compare_base(state, active, point)
            if differences:
                reason = f"/{path_on_system(point, differences[0].path)} {differences[0].how}"
        made_for = _release_made_for(state, active)
        if not reason and made_for is not None and made_for != release:
            reason = (
                f"the system is {' '.join(release.values())}, not {' '.join(made_for.values())}"
            )
        return reason

    def _compare_base(
        self, state: ProductState, active: Generation, point: GraftPoint
    ) -> tuple[tuple[Difference, ...], dict[str, str]]:
        """How the base differs from the baseline, and ``ID`` and ``VERSION_ID`` of the system."""
        entries = state.generations.entries(active.baseline, point.component)
        contents = self._host.base.read(point.path, tuple(entry.path for entry in entries))
        return compare_trees(entries, contents.entries), contents.release


def _points(state: ProductState) -> list[GraftPoint]:
    points = state.documents.enrolment().grafts
    return [point for point in points if point.strategy == "sysext"]


def _layers(state: ProductState, generation: Generation) -> list[ComponentLayer]:
    return layers_of(state, _points(state), generation)


def _entries_by_path(
    state: ProductState, generation: Generation, point: GraftPoint
) -> dict[str, Entry]:
    entries = state.generations.entries(generation, point.component)
    return {entry.path: entry for entry in entries}


def _release_made_for(state: ProductState, active: Generation) -> dict[str, str] | None:
    """The release of the system that the active layer is made for; None if none is built."""
    system = state.generations.baseline(active).system
    if system is not None:
        return system.fields()
    path = extension.extension_path(state, active)
    return extension.release_in(path, state.name) if path.is_dir() else None
