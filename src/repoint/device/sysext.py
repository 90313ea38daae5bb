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

from repoint.device.base import look_at_base
from repoint.device.errors import CannotMergeError, EnrolmentRefusedError, SupersededError
from repoint.device.exposure import entries_of
from repoint.device.extension import Part, build_extension, check_base, on_system, release_in
from repoint.device.merging import is_offered, merged, offer, offered, withdraw
from repoint.device.records import Generation, GraftPoint, HistoryEntry
from repoint.device.store import ProductStore, Store
from repoint.model.errors import InvalidRecordError
from repoint.model.records import Component
from repoint.model.system import HIERARCHIES, extension_name
from repoint.model.tree import Entry
from repoint.seal.compare import Difference, compare_trees
from repoint.seal.scan import read_entry


class SysextStrategy:
    """The component's files stay where they are; a layer is merged over them."""

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
        found = look_at_base(point.path, paths)
        if found.foreign:
            raise EnrolmentRefusedError(
                f"/{on_system(point, found.foreign[0])} belongs to another user than root or has "
                "file capabilities, which a layer would lose",
                hint="Leave it out of the component, or tell the vendor; nothing was changed",
            )
        return found.entries

    def prepare(self, product: ProductStore, point: GraftPoint) -> None:
        """Nothing: the base is not touched."""

    def forget(self, point: GraftPoint) -> None:
        """Nothing was prepared."""

    def take(
        self, product: ProductStore, point: GraftPoint, entries: Iterable[Entry]
    ) -> Path | None:
        """Nothing: the base is not touched."""
        return None

    def is_in_place(self, product: ProductStore, point: GraftPoint) -> bool:
        """Whether programs see every path of the active layer, and no other layer of ours."""
        active = product.active()
        if active is None:
            return True
        parts = [part for part in _parts(product, active) if part.point == point]
        if not parts:
            return not _is_merged(product) or bool(list(_parts(product, active)))
        return _is_merged(product) and not unseen(parts)

    def is_replaced(self, product: ProductStore, point: GraftPoint) -> bool:
        """Whether the base is no longer the baseline's.

        Who may not look below what is merged, such as a service without privileges, leaves that to
        the next start that may.
        """
        active = product.active()
        with contextlib.suppress(CannotMergeError):
            return active is not None and bool(_moved_on(product, active, point)[0])
        return False

    def give_back(self, product: ProductStore, point: GraftPoint, component: Component) -> None:
        """Let nothing be merged."""
        withdraw(extension_name(product.name))


def prepare_extension(product: ProductStore, generation: Generation) -> None:
    """Lay out the extension of a generation, before it can be staged.

    Raises:
        OSError: It cannot be written.
    """
    parts = list(_parts(product, generation))
    if parts:
        build_extension(_place(product, generation), product.name, parts)


def show(product: ProductStore) -> None:
    """Let what is merged be what is active: see `strategy.show_active`."""
    active = product.active()
    if active is None:
        return
    name = extension_name(product.name)
    parts = list(_parts(product, active))
    if not parts:
        withdraw(name)
        return
    _require_base(product, active, name)
    extension = _place(product, active)
    build_extension(extension, product.name, parts)
    if _is_merged(product) and is_offered(name, extension) and not unseen(parts):
        return
    offer(name, extension)
    wrong = unseen(parts)
    if wrong:
        withdraw(name)
        raise CannotMergeError(
            f"The system does not show {active.label} although it was merged: {wrong[0]}",
            hint="Look for another extension over it with `systemd-sysext status`; "
            "nothing of it is merged now",
        )


def hide(product: ProductStore) -> bool:
    """Take the layer away although it is active: see `strategy.hide_active`."""
    was = _is_merged(product)
    withdraw(extension_name(product.name))
    return was


def unseen(parts: Iterable[Part]) -> list[Difference]:
    """What of a layer programs do not see on the system."""
    found: list[Difference] = []
    for part in parts:
        for entry in part.changed():
            seen = _seen(part.point, entry.path)
            found += compare_trees([entry], [] if seen is None else [seen])
        found += [
            Difference(entry.path, "added")
            for entry in part.removed()
            if _seen(part.point, entry.path) is not None
        ]
    return found


def _seen(point: GraftPoint, path: str) -> Entry | None:
    try:
        return read_entry(Path(point.path, path), path)
    except (OSError, InvalidRecordError):
        return None


def _require_base(product: ProductStore, active: Generation, name: str) -> None:
    """Take the layer away where the base has moved on, and go back to the baseline.

    Raises:
        SupersededError: That was done.
    """
    why = ""
    now: dict[str, str] = {}
    for point in _points(product):
        differences, now = _moved_on(product, active, point)
        if differences:
            why = f"/{on_system(point, differences[0].path)} {differences[0].how}"
    extension = _place(product, active)
    if not why and extension.is_dir():
        was = release_in(extension, product.name)
        if was != now:
            why = f"the system is {' '.join(now.values())}, not {' '.join(was.values())}"
    if not why:
        return
    withdraw(name)
    product.clear_staged()
    product.forget_previous()
    product.point_active(active.baseline)
    product.record(HistoryEntry(int(time.time()), "superseded", active.label, f"base: {why}"))
    raise SupersededError(
        f"{active.label} was taken away, because the system below it has been updated: {why}",
        hint="Run `repoint check`; what the update brought is in force",
    )


def _moved_on(
    product: ProductStore, active: Generation, point: GraftPoint
) -> tuple[tuple[Difference, ...], dict[str, str]]:
    """How the base differs from the baseline, and which release of the system it is."""
    component = product.baseline(active).component(point.component)
    entries = component.entries if component is not None else ()
    found = look_at_base(point.path, tuple(entry.path for entry in entries))
    return compare_trees(entries, found.entries), found.release


def _is_merged(product: ProductStore) -> bool:
    name = extension_name(product.name)
    return offered(name) is not None and any(name in names for names in merged().values())


def _parts(product: ProductStore, generation: Generation) -> Iterator[Part]:
    """The components of the system that differ from the baseline in a generation."""
    before, after = product.seals(generation.baseline), product.seals(generation)
    for point in _points(product):
        seal = after.get(point.component)
        if seal is not None and seal != before.get(point.component):
            yield Part(
                point,
                product.store.tree(seal),
                entries_of(product, generation.baseline, point.component),
                entries_of(product, generation, point.component),
            )


def _points(product: ProductStore) -> list[GraftPoint]:
    return [point for point in product.enrolment().grafts if point.strategy == "sysext"]


def _place(product: ProductStore, generation: Generation) -> Path:
    return product.path / "extensions" / generation.folder
