"""Activation strategies: how the trees of the active generation reach the programs.

Which generation is active is one link in the store, whatever the strategy. A strategy knows how a
component comes under Repoint's care, how what programs see follows that link, and how the component
leaves that care. Everything in which strategies differ is a member of `Strategy`; no other code
compares their names.

To add a strategy, write a file in this folder with a class that implements `Strategy`, and add one
line to `STRATEGIES`.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Protocol

from repoint.device.errors import StoreDamagedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Form, Generation, GraftPoint
from repoint.device.store.store import Store
from repoint.device.strategy.traces import Traces
from repoint.model.baseline import Component
from repoint.model.improvement import ImprovedComponent, Improvement
from repoint.model.tree import Entry

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.host.host import Host


class Strategy(Protocol):
    """What every strategy does. Each method can be repeated after an interruption.

    Methods with a graft point concern one component; those without concern all components of the
    product that use the strategy.

    Attributes:
        shares_folders: True if graft points of this strategy may overlap, because each component
            names its own files.
        changes_system: True if the machine's own start depends on the components, so that a new
            letter is confirmed only when the machine has started.
        runs_from_store: True if programs run the files in the store, on its file system.
    """

    shares_folders: ClassVar[bool]
    changes_system: ClassVar[bool]
    runs_from_store: ClassVar[bool]

    def __init__(self, host: Host) -> None:
        """Bind the strategy to a machine."""

    # Facts that need no machine, for programs that must start quickly.

    @staticmethod
    def reach(point: GraftPoint) -> tuple[Path, ...]:
        """Return the folders below which the component's files may lie."""

    @staticmethod
    def writable_paths(point: GraftPoint) -> tuple[Path, ...]:
        """Return the paths that a confined service must be able to write to."""

    # Enrolment and its end.

    def resolve(self, path: Path, store: Store) -> Path:
        """Return the graft point that a person means.

        Raises:
            EnrolmentRefusedError: It cannot be a graft point.
        """

    def require_usable(self, state: ProductState, point: GraftPoint) -> None:
        """Try out whether the graft point can be taken over. Leaves nothing.

        Raises:
            EnrolmentRefusedError: It cannot.
        """

    @staticmethod
    def scan_key(point: GraftPoint, component: Component) -> tuple[str, ...]:
        """Return what the result of `scan` depends on."""

    def scan(self, point: GraftPoint, component: Component, source: Path) -> tuple[Entry, ...]:
        """Return what the device holds of a component without any improvement.

        Args:
            point: The graft point.
            component: The component of the baseline to compare with.
            source: The folder that holds it, unless it is among the files of the system.

        Raises:
            EnrolmentRefusedError: It holds something that the strategy cannot preserve.
            NotApplicableError: The component has a path that the strategy cannot improve.
        """

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Show that the graft point can be taken over. Programs see no change.

        Raises:
            OSError: It cannot be taken over.
        """

    def forget(self, point: GraftPoint) -> None:
        """Undo `prepare`."""

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """Take the graft point over.

        Args:
            state: The product.
            point: The graft point.
            entries: The baseline's entries, which the store holds.

        Returns:
            Where files that do not belong to the baseline are kept, if there were any.
        """

    def finish(self, state: ProductState, point: GraftPoint, component: Component) -> Path | None:
        """Complete an interrupted `take`; see there.

        Args:
            state: The product.
            point: The graft point.
            component: The component in the baseline.
        """

    def give_back(self, state: ProductState, point: GraftPoint, component: Component | None) -> str:
        """Leave the baseline at the graft point, independent of Repoint.

        Args:
            state: The product.
            point: The graft point.
            component: The component in the baseline; None if the baseline is not known any more.

        Returns:
            What a person should know if something else is there afterwards; or "".
        """

    # Installation and activation.

    def check_layer(
        self, point: GraftPoint, component: Component, improved: ImprovedComponent
    ) -> None:
        """Refuse a layer that the strategy cannot put in force, before anything is downloaded.

        Raises:
            NotApplicableError: The layer has a path that the strategy cannot change.
        """

    def prepare_layers(self, state: ProductState, generation: Generation) -> None:
        """Write what the strategy needs besides the trees, before the generation is staged.

        Raises:
            NotTrustedError: The trees do not give what was signed.
            OSError: It cannot be written.
        """

    def show(self, state: ProductState) -> str:
        """Make programs see what is active.

        Returns:
            How, for the history; empty if the active link alone does it.

        Raises:
            CannotMergeError: The system does not merge the layer; nothing of it is merged.
            SupersededError: The base is no longer that of the baseline; nothing is merged over
                it, and the baseline is active.
        """

    def hide(self, state: ProductState) -> bool:
        """Make programs see the base until the next `show`. Return whether that changed anything.

        Raises:
            CannotMergeError: The system does not unmerge the layer.
        """

    # Status.

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether programs see what is active."""

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Return whether a full update has replaced the baseline."""

    def form(self, state: ProductState, *, verified: bool) -> Form:
        """Return how the product's layer is merged; empty if nothing is merged.

        Args:
            state: The product.
            verified: True if programs are known to see all of it, so that it need not be read.
        """

    def traces(self, state: ProductState, point: GraftPoint, baseline_seal: str) -> Traces:
        """Return how to recognise files of the component outside of the store's trees."""


STRATEGIES: dict[str, str] = {
    "tree": "repoint.device.strategy.tree:TreeStrategy",
    "sysext": "repoint.device.strategy.sysext:SysextStrategy",
}
"""The class of each strategy by its name in the enrolment; it is imported when it is needed."""


def strategy_type(name: str) -> type[Strategy]:
    """Return the class of a strategy.

    Raises:
        StoreDamagedError: There is no strategy of that name.
    """
    location = STRATEGIES.get(name)
    if location is None:
        raise StoreDamagedError(
            f"There is no activation strategy {name!r}",
            hint="A newer Repoint wrote the enrolment: update Repoint",
        )
    module, _, attribute = location.partition(":")
    strategy: type[Strategy] = getattr(importlib.import_module(module), attribute)
    return strategy


def strategy_of(point: GraftPoint, host: Host) -> Strategy:
    """Return the strategy of a graft point on a machine."""
    return strategy_type(point.strategy)(host)


def replaced_points(state: ProductState, host: Host) -> list[GraftPoint]:
    """Return the graft points whose baseline a full update has replaced."""
    points = state.documents.enrolment().grafts
    return [point for point in points if strategy_of(point, host).is_replaced(state, point)]


def show_active(state: ProductState, host: Host) -> str:
    """Make programs see what is active; see `Strategy.show`.

    Called at every start, and whenever the active generation has changed.
    """
    shown = [strategy.show(state) for strategy in _strategies(state.documents.enrolment(), host)]
    return "; ".join(filter(None, shown))


def hide_active(state: ProductState, host: Host) -> bool:
    """Make programs see the base until the next `show_active`; see `Strategy.hide`."""
    hidden = [strategy.hide(state) for strategy in _strategies(state.documents.enrolment(), host)]
    return any(hidden)


def check_fits(
    enrolment: Enrolment,
    host: Host,
    components: Mapping[str, Component],
    improvement: Improvement,
) -> None:
    """Refuse an improvement that a strategy cannot put in force; see `Strategy.check_layer`."""
    for point in enrolment.grafts:
        improved = improvement.component(point.component)
        if improved is not None:
            strategy_of(point, host).check_layer(point, components[point.component], improved)


def prepare_layers(state: ProductState, host: Host, generation: Generation) -> None:
    """Write what strategies need besides the trees; see `Strategy.prepare_layers`."""
    for strategy in _strategies(state.documents.enrolment(), host):
        strategy.prepare_layers(state, generation)


def _strategies(enrolment: Enrolment, host: Host) -> Iterator[Strategy]:
    """Each strategy that a product uses, once."""
    for name in dict.fromkeys(point.strategy for point in enrolment.grafts):
        yield strategy_type(name)(host)
