"""A strategy for tests: the active tree is copied over the files of the graft point."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from repoint.device.errors import NotApplicableError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Form, Generation, GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.traces import Traces
from repoint.fs.removal import make_writable, remove_tree
from repoint.host.host import Host
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent
from repoint.model.tree import Entry
from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree


class CopyStrategy:
    """The graft point is always a plain folder, with the content of the active tree."""

    shares_folders = False
    changes_system = False
    runs_from_store = False
    calls: list[str] = []  # noqa: RUF012  # what the test inspects

    def __init__(self, host: Host) -> None:
        self.host = host

    @staticmethod
    def reach(point: GraftPoint) -> tuple[Path, ...]:
        return (Path(point.path),)

    @staticmethod
    def writable_paths(point: GraftPoint) -> tuple[Path, ...]:
        return (Path(point.path),)

    def resolve(self, path: Path, store: Store) -> Path:
        return path.resolve()

    def require_usable(self, state: ProductState, point: GraftPoint) -> None:
        """Accept every folder."""

    @staticmethod
    def scan_key(point: GraftPoint, component: Component) -> tuple[str, ...]:
        return (point.path,)

    def scan(self, point: GraftPoint, component: Component, source: Path) -> tuple[Entry, ...]:
        return scan_tree(Path(point.path), ignore=component.ignore)

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        self.calls.append("prepare")

    def forget(self, point: GraftPoint) -> None:
        self.calls.append("forget")

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        self.calls.append("take")
        return None

    def finish(self, state: ProductState, point: GraftPoint, component: Component) -> Path | None:
        self.calls.append("finish")
        return None

    def give_back(self, state: ProductState, point: GraftPoint, component: Component | None) -> str:
        self.calls.append("give_back")
        return ""

    def check_layer(
        self, point: GraftPoint, component: Component, improved: ImprovedComponent
    ) -> None:
        self.calls.append("check_layer")
        if any(change.entry.path.endswith(".forbidden") for change in improved.layer.changes):
            raise NotApplicableError("It cannot be copied", hint="Report it to the vendor")

    def prepare_layers(self, state: ProductState, generation: Generation) -> None:
        self.calls.append("prepare_layers")

    def show(self, state: ProductState) -> str:
        active = state.links.active()
        points = [p for p in state.documents.enrolment().grafts if p.strategy == "copy"]
        copied = False
        for point in points:
            if active is not None and not self.is_in_place(state, point):
                entries = state.generations.entries(active, point.component)
                tree = state.store.tree(state.generations.seals(active)[point.component])
                copy = Path(f"{point.path}.new")
                build_tree(copy, entries, TreeFiles.copied_from(tree, entries))
                make_writable(copy)
                remove_tree(Path(point.path))
                copy.replace(point.path)
                copied = True
        return "copied" if copied else ""

    def hide(self, state: ProductState) -> bool:
        self.calls.append("hide")
        return False

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        active = state.links.active()
        seals = state.generations.seals(active) if active is not None else {}
        return seal_of(scan_tree(Path(point.path))) == seals.get(point.component)

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        return not self.is_in_place(state, point)

    def form(self, state: ProductState, *, verified: bool) -> Form:
        return ""

    def traces(self, state: ProductState, point: GraftPoint, baseline_seal: str) -> Traces:
        return Traces(adopted={f"{point.path}/": baseline_seal})
