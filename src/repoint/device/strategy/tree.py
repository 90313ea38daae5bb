"""Strategy ``tree``: a component is a folder of its own, and a link takes the folder's place.

The link leads through the active generation, so nothing remains to be done when that changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Form, Generation, GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.give_back import give_back
from repoint.device.strategy.graft_trial import try_graft
from repoint.device.strategy.grafts import (
    adopted_from,
    forget_graft,
    graft,
    is_grafted,
    is_prepared,
    prepare_graft,
    resolve_graft,
)
from repoint.device.strategy.traces import Traces
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent
from repoint.model.tree import Entry
from repoint.tree.errors import SealMismatchError, UnfitTreeError
from repoint.tree.scan import scan_tree
from repoint.tree.verify import verify_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.host.host import Host


class TreeStrategy:
    """A link at the graft point, instead of a folder."""

    shares_folders = False
    changes_system = False
    runs_from_store = True

    def __init__(self, host: Host) -> None:
        self._host = host

    @staticmethod
    def reach(point: GraftPoint) -> tuple[Path, ...]:
        """Return the graft point itself."""
        return (Path(point.path),)

    @staticmethod
    def writable_paths(point: GraftPoint) -> tuple[Path, ...]:
        """Return the graft point: it is exchanged with a link next to it."""
        return (Path(point.path),)

    def resolve(self, path: Path, store: Store) -> Path:
        """Return the folder; see `grafts.resolve_graft`."""
        folder = resolve_graft(path, store)
        if not folder.is_dir() or folder.is_symlink():
            raise EnrolmentRefusedError(
                f"{folder} is not a folder", hint="Name the folder of the component itself"
            )
        return folder

    def require_usable(self, state: ProductState, point: GraftPoint) -> None:
        """Try out whether the link can take the folder's place; see `graft_trial.try_graft`."""
        try_graft(state, self._host, point)

    @staticmethod
    def scan_key(point: GraftPoint, component: Component) -> tuple[str, ...]:
        """Return the folder and what is ignored in it."""
        return (point.path, *component.ignore)

    def scan(self, point: GraftPoint, component: Component, source: Path) -> tuple[Entry, ...]:
        """Return everything in the folder except what the component ignores."""
        return scan_tree(source, ignore=component.ignore)

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Create the link next to the folder."""
        if not is_grafted(state, point):
            prepare_graft(state, point)

    def forget(self, point: GraftPoint) -> None:
        """Remove the link next to the folder."""
        forget_graft(point)

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """Exchange the folder and the link; see `grafts.graft`."""
        return graft(state, point, entries)

    def finish(self, state: ProductState, point: GraftPoint, component: Component) -> Path | None:
        """Exchange the folder and the link if the folder is still the baseline's."""
        if is_grafted(state, point):
            # Removes the rest of the folder, if its removal was interrupted.
            return graft(state, point, component.entries)
        if not is_prepared(point):
            return None
        folder = Path(point.path)
        try:
            verify_tree(folder, component.entries, component.seal, ignore=component.ignore)
        except (SealMismatchError, UnfitTreeError):
            # It was changed in the meantime; it is not ours to remove.
            forget_graft(point)
            return None
        return graft(state, point, component.entries)

    def give_back(self, state: ProductState, point: GraftPoint, component: Component | None) -> str:
        """Exchange the link for a copy of the baseline's tree; see `give_back.give_back`."""
        return give_back(state, point, component)

    def check_layer(
        self, point: GraftPoint, component: Component, improved: ImprovedComponent
    ) -> None:
        """Accept every layer: the folder belongs to the component alone."""

    def prepare_layers(self, state: ProductState, generation: Generation) -> None:
        """Do nothing: the trees are all that the strategy needs."""

    def show(self, state: ProductState) -> str:
        """Do nothing: the active link is enough."""
        return ""

    def hide(self, state: ProductState) -> bool:
        """Do nothing: no file of the system is covered."""
        return False

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether the link is at the graft point."""
        return is_grafted(state, point)

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether something other than the link is at the graft point."""
        return not is_grafted(state, point)

    def form(self, state: ProductState, *, verified: bool) -> Form:
        """Return the empty form: nothing is merged."""
        return ""

    def traces(self, state: ProductState, point: GraftPoint, baseline_seal: str) -> Traces:
        """Return the folder that the link replaced."""
        return Traces(adopted={adopted_from(point): baseline_seal})
