"""Strategy ``sysext``: a component below /usr or /opt, improved by a layer over an untouched base.

The one mistake that makes overlays dangerous is to leave a layer over a base that has moved on: it
would shadow newer code with older. These rules keep it from happening; each holds by itself.

1. A layer is offered to systemd only in /run, which is empty after every start of the machine.
   Whatever the distribution did while it was off, systemd finds nothing to merge.
2. Before a layer is offered, every file of the baseline is read from the base, below anything that
   is merged, and must be the baseline's; so must the system's ID and VERSION_ID.
3. Each later start of Repoint looks again. If the base has moved on, the layer is taken away first,
   then everything else is done.
4. systemd itself merges only what names its own ID and VERSION_ID, and no layer may shadow the
   file that says them.
5. While a layer is merged, the view is read-only: who updates the base through it has to take the
   merge away before.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError, NotTrustedError, SupersededError
from repoint.device.status.exposure import entries_of
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Form, Generation, GraftPoint, HistoryEntry
from repoint.device.store.store import Store
from repoint.device.strategy.extension import (
    ExtensionPart,
    build_extension,
    check_base,
    on_system,
    release_in,
)
from repoint.device.strategy.layer_images import LayerImage, image_of, why_folders_differ
from repoint.device.strategy.merged_view import is_unreadable, unseen
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host
from repoint.host.sysext import ImageOffer
from repoint.model.baseline import Component
from repoint.model.system import HIERARCHIES, extension_name
from repoint.model.tree import Entry
from repoint.tree.compare import Difference, compare_trees


class SysextStrategy:
    """The component's files stay where they are; a layer is merged over them."""

    def __init__(self, host: Host) -> None:
        self._host = host

    def resolve(self, path: Path, store: Store) -> Path:
        """The folder that the component's paths are relative to: / or one below /usr or /opt."""
        place = path.resolve()
        inside = any(place.is_relative_to(hierarchy) for hierarchy in HIERARCHIES)
        if not place.is_dir() or not (inside or place == Path("/")):
            raise EnrolmentRefusedError(
                f"{path} is no folder below {' or '.join(HIERARCHIES)}",
                hint="Name / or such a folder for a component of the system, "
                "or enrol it as a tree of its own",
            )
        if store.path.is_relative_to(place) and place != Path("/"):
            raise EnrolmentRefusedError(
                f"The store {store.path} lies in {place}", hint="Name a store outside of it"
            )
        return place

    def scan(self, point: GraftPoint, component: Component) -> tuple[Entry, ...]:
        """Those of the component's paths that the base has, as it has them."""
        check_base(point, component)
        paths = tuple(entry.path for entry in component.entries)
        found = self._host.base.read(point.path, paths)
        if found.foreign:
            raise EnrolmentRefusedError(
                f"/{on_system(point, found.foreign[0])} belongs to another user than root or has "
                "file capabilities, which a layer would lose",
                hint="Leave it out of the component, or tell the vendor; nothing was changed",
            )
        return found.entries

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Nothing: the base is not touched."""

    def forget(self, point: GraftPoint) -> None:
        """Nothing was prepared."""

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """Nothing: the base is not touched."""
        return None

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether programs see every path of the active layer, and no other layer of ours."""
        active = state.links.active()
        if active is None:
            return True
        parts = [part for part in _parts(state, active) if part.point == point]
        if not parts:
            return not _is_merged(state, self._host) or bool(list(_parts(state, active)))
        return _is_merged(state, self._host) and not unseen(parts)

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether the base is no longer the baseline's, or of another system.

        Who may not look below what is merged, such as a service without privileges, leaves that to
        the next start that may.
        """
        active = state.links.active()
        with contextlib.suppress(CannotMergeError):
            if active is None:
                return False
            differences, now = _moved_on(state, self._host, active, point)
            system = state.generations.baseline(active).system
            return bool(differences) or (system is not None and system.fields() != now)
        return False

    def give_back(self, state: ProductState, point: GraftPoint, component: Component) -> None:
        """Let nothing be merged."""
        self._host.sysext.withdraw(extension_name(state.name))


def prepare_extension(state: ProductState, host: Host, generation: Generation) -> None:
    """Lay out the extension of a generation, before it can be staged.

    Raises:
        NotTrustedError: What the patches gave is not the image that was signed.
        OSError: It cannot be written.
    """
    parts = list(_parts(state, generation))
    if not parts:
        return
    image = image_of(state, generation)
    if image is not None:
        image.build()
    else:
        build_extension(_place(state, generation), state.name, parts, host.base.release())


def show(state: ProductState, host: Host) -> str:
    """Let what is merged be what is active: see `strategy.show_active`."""
    active = state.links.active()
    if active is None:
        return ""
    name = extension_name(state.name)
    parts = list(_parts(state, active))
    if not parts:
        host.sysext.withdraw(name)
        return ""
    _require_base(state, host, active, name)
    if _is_merged(state, host) and _is_offer_of(state, host, active) and not unseen(parts):
        merged_as = host.sysext.offered(name)
        folder = merged_as is not None and merged_as.is_dir()
        return "merged as a folder" if folder else "merged as an image"
    why = _show_image(state, host, active, parts)
    if not why:
        return "merged as an image"
    extension = _place(state, active)
    build_extension(extension, state.name, parts, host.base.release())
    host.sysext.offer_folder(name, extension)
    wrong = unseen(parts)
    if wrong:
        host.sysext.withdraw(name)
        raise CannotMergeError(
            f"The system does not show {active.label} although it was merged: {wrong[0]}",
            hint="Look for another extension over it with `systemd-sysext status`; "
            "nothing of it is merged now",
        )
    return f"merged as a folder{'' if why == _UNSIGNED else f': {why}'}"


_UNSIGNED = "no image is signed"


def _show_image(
    state: ProductState, host: Host, active: Generation, parts: list[ExtensionPart]
) -> str:
    """Merge the signed image of what is active; why that cannot be, where it cannot.

    One that is damaged is made again from the trees.
    """
    image, name = image_of(state, active), extension_name(state.name)
    if image is None:
        return _UNSIGNED
    why = why_folders_differ(image, host)
    if why:
        return why
    try:
        image.build()
        why = _merge_image(image, host, name, parts)
        if not why or image.is_whole():
            return why
        image.repair()
    except (NotTrustedError, OSError) as error:
        return f"its image cannot be made: {getattr(error, 'message', error)}"
    said = "its image was damaged on the disk, and was made again from what the patches gave"
    state.history.add(HistoryEntry(int(time.time()), "repaired", active.label, said))
    return _merge_image(image, host, name, parts)


def _merge_image(image: LayerImage, host: Host, name: str, parts: list[ExtensionPart]) -> str:
    """Merge an image; why it is not seen whole and checked by the kernel, where it is not."""
    if image.has_shadows():
        return "its image was tampered with"
    try:
        host.sysext.offer_image(name, ImageOffer(image.raw, image.tree, image.extension.root_hash))
    except CannotMergeError as error:
        why = error.message
    else:
        checked = host.verity.is_verified(image.raw, image.extension.root_hash)
        wrong = unseen(parts) if checked else []
        if checked and not wrong:
            return ""
        why = str(wrong[0]) if wrong else "the kernel does not check the image"
    host.sysext.withdraw(name)
    return why


def form_of(state: ProductState, host: Host, *, seen: bool) -> Form:
    """How the layer of a product is merged: see `strategy.layer_form`."""
    place, active = host.sysext.offered(extension_name(state.name)), state.links.active()
    if place is None or active is None or not _is_merged(state, host):
        return ""
    if place.is_dir():
        return "folder"
    return "damaged" if not seen and is_unreadable(_parts(state, active)) else "image"


def _is_offer_of(state: ProductState, host: Host, active: Generation) -> bool:
    """Whether what is offered is the layer of what is active, and guarded as it can be."""
    name = extension_name(state.name)
    if host.sysext.is_offered(name, _place(state, active)):
        return True
    image = image_of(state, active)
    return (
        image is not None
        and host.sysext.is_offered(name, image.raw)
        and host.verity.is_verified(image.raw, image.extension.root_hash)
    )


def hide(state: ProductState, host: Host) -> bool:
    """Take the layer away although it is active: see `strategy.hide_active`."""
    was = _is_merged(state, host)
    host.sysext.withdraw(extension_name(state.name))
    return was


def _require_base(state: ProductState, host: Host, active: Generation, name: str) -> None:
    """Take the layer away where the base has moved on, and go back to the baseline.

    Raises:
        SupersededError: That was done.
    """
    why = ""
    now: dict[str, str] = {}
    for point in _points(state):
        differences, now = _moved_on(state, host, active, point)
        if differences:
            why = f"/{on_system(point, differences[0].path)} {differences[0].how}"
    was = _made_for(state, active)
    if not why and was is not None and was != now:
        why = f"the system is {' '.join(now.values())}, not {' '.join(was.values())}"
    if not why:
        return
    host.sysext.withdraw(name)
    state.links.clear_staged()
    state.links.clear_previous()
    state.links.point_active(active.baseline)
    state.history.add(HistoryEntry(int(time.time()), "superseded", active.label, f"base: {why}"))
    raise SupersededError(
        f"{active.label} was taken away, because the system below it has been updated: {why}",
        hint="Run `repoint check`; what the update brought is in force",
    )


def _made_for(state: ProductState, active: Generation) -> dict[str, str] | None:
    """For which release of the system the active layer was made; nothing where none is yet."""
    system = state.generations.baseline(active).system
    if system is not None:
        return system.fields()
    extension = _place(state, active)
    return release_in(extension, state.name) if extension.is_dir() else None


def _moved_on(
    state: ProductState, host: Host, active: Generation, point: GraftPoint
) -> tuple[tuple[Difference, ...], dict[str, str]]:
    """How the base differs from the baseline, and which release of the system it is."""
    component = state.generations.baseline(active).component(point.component)
    entries = component.entries if component is not None else ()
    found = host.base.read(point.path, tuple(entry.path for entry in entries))
    return compare_trees(entries, found.entries), found.release


def _is_merged(state: ProductState, host: Host) -> bool:
    name = extension_name(state.name)
    return host.sysext.offered(name) is not None and host.sysext.is_merged(name)


def _parts(state: ProductState, generation: Generation) -> Iterator[ExtensionPart]:
    """The components of the system that differ from the baseline in a generation."""
    before, after = (
        state.generations.seals(generation.baseline),
        state.generations.seals(generation),
    )
    for point in _points(state):
        seal = after.get(point.component)
        if seal is not None and seal != before.get(point.component):
            yield ExtensionPart(
                point,
                state.store.tree(seal),
                entries_of(state, generation.baseline, point.component),
                entries_of(state, generation, point.component),
            )


def _points(state: ProductState) -> list[GraftPoint]:
    return [point for point in state.documents.enrolment().grafts if point.strategy == "sysext"]


def _place(state: ProductState, generation: Generation) -> Path:
    return state.path / "extensions" / generation.folder
