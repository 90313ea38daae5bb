"""Activation strategies: how the trees of the active generation get to where programs find them.

Which generation is active is one link in the store (see `store`), whatever the strategy. A strategy
knows how a component comes under Repoint's care, how what programs see follows that link, and how
the component leaves that care again:

- ``tree`` (`TreeStrategy`): the component is a folder of its own. A link stands in its place, which
  leads through the active one, so nothing remains to be done when that one changes.
- ``sysext`` (`sysext.SysextStrategy`): the component's files lie among others, below /usr or /opt.
  They stay where they are, and a layer is merged over them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Protocol

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Form, Generation, GraftPoint
from repoint.device.store.store import Store
from repoint.device.store.trees import taken_from
from repoint.device.strategy.grafts import (
    forget_graft,
    graft,
    is_grafted,
    prepare_graft,
    resolve_graft,
    ungraft,
)
from repoint.fs.removal import make_writable, remove_tree
from repoint.host.host import Host
from repoint.model.baseline import Component
from repoint.model.improvement import Improvement
from repoint.model.tree import Entry
from repoint.tree.build import build_tree
from repoint.tree.scan import scan_tree


class Strategy(Protocol):
    """What every strategy does for a graft point. Each may be called again after it was cut off."""

    def resolve(self, path: Path, store: Store) -> Path:
        """The graft point that a person means.

        Raises:
            EnrolmentRefusedError: It cannot be one.
        """

    def scan(self, point: GraftPoint, component: Component) -> tuple[Entry, ...]:
        """What stands on the device of a component, as it is without any improvement."""

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Show that the graft point can be taken over; change nothing that programs see."""

    def forget(self, point: GraftPoint) -> None:
        """Undo `prepare`."""

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """Take the graft point over; tells where what was somebody's own is kept, if any was."""

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether programs see what is active."""

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether a full update has put something else in the place of the baseline."""

    def give_back(self, state: ProductState, point: GraftPoint, component: Component) -> None:
        """Leave the baseline as it was before it was taken over."""


class TreeStrategy:
    """A link in the place of a folder."""

    def resolve(self, path: Path, store: Store) -> Path:
        """See `grafts.resolve_graft`."""
        place = resolve_graft(path, store)
        if not place.is_dir() or place.is_symlink():
            raise EnrolmentRefusedError(
                f"{place} is not a folder", hint="Name the folder of the component itself"
            )
        return place

    def scan(self, point: GraftPoint, component: Component) -> tuple[Entry, ...]:
        """Everything in the folder but what the component says to ignore."""
        return scan_tree(Path(point.path).resolve(), ignore=component.ignore)

    def prepare(self, state: ProductState, point: GraftPoint) -> None:
        """Put the link beside the folder."""
        if not is_grafted(state, point):
            prepare_graft(state, point)

    def forget(self, point: GraftPoint) -> None:
        """Take the link away again."""
        forget_graft(point)

    def take(self, state: ProductState, point: GraftPoint, entries: Iterable[Entry]) -> Path | None:
        """See `grafts.graft`."""
        return graft(state, point, entries)

    def is_in_place(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether the link stands there."""
        return is_grafted(state, point)

    def is_replaced(self, state: ProductState, point: GraftPoint) -> bool:
        """Whether something else stands there than the link."""
        return not is_grafted(state, point)

    def give_back(self, state: ProductState, point: GraftPoint, component: Component) -> None:
        """Put a copy of the baseline's tree in the place of the link."""
        if not is_grafted(state, point):
            return
        path = Path(point.path)
        beside = path.with_name(f".{path.name}.repoint")
        remove_tree(beside)
        old = state.store.tree(component.seal)
        taken = taken_from(old, component.entries)
        build_tree(beside, component.entries, made={}, taken=taken, share=False)
        make_writable(beside)
        ungraft(point, beside)


def strategy_named(name: str, host: Host) -> Strategy:
    """The strategy of that name, on a machine."""
    if name == "sysext":
        from repoint.device.strategy.sysext import SysextStrategy

        return SysextStrategy(host)
    return TreeStrategy()


def strategy_of(point: GraftPoint, host: Host) -> Strategy:
    """The strategy of a graft point."""
    return strategy_named(point.strategy, host)


def replaced_points(state: ProductState, host: Host, enrolment: Enrolment) -> list[GraftPoint]:
    """Graft points at which a full update has put something else than what was enrolled."""
    return [p for p in enrolment.grafts if strategy_of(p, host).is_replaced(state, p)]


def show_active(state: ProductState, host: Host) -> str:
    """Let programs see what is active, where a link alone does not do that.

    Called whenever the active generation has changed, and by every start.

    Returns:
        How that was done, for the history; empty where a link does it.

    Raises:
        CannotMergeError: The system does not merge the layer; nothing of it is merged then.
        SupersededError: The base is no longer that of the baseline; nothing is merged over it,
            and the baseline is active.
    """
    if _has_layers(state.documents.enrolment()):
        from repoint.device.strategy.sysext import show

        return show(state, host)
    return ""


def layer_form(state: ProductState, host: Host, *, seen: bool) -> Form:
    """How the layer of a product's components of the system is merged; empty where none is.

    Args:
        state: The product.
        host: The machine.
        seen: Whether programs are known to see all of it, so that it need not be read again.
    """
    if not _has_layers(state.documents.enrolment()):
        return ""
    from repoint.device.strategy.sysext import form_of

    return form_of(state, host, seen=seen)


def hide_active(state: ProductState, host: Host) -> bool:
    """Let programs see the base for a while, where a layer is merged over it; whether one was.

    Raises:
        CannotMergeError: The system does not take the layer away.
    """
    if not _has_layers(state.documents.enrolment()):
        return False
    from repoint.device.strategy.sysext import hide

    return hide(state, host)


def check_fits(
    enrolment: Enrolment, components: Mapping[str, Component], improvement: Improvement
) -> None:
    """Refuse an improvement that a strategy cannot put in place, before anything is fetched.

    Raises:
        NotApplicableError: It is such a one.
    """
    if _has_layers(enrolment):
        from repoint.device.strategy.extension import check_layer

        for point in enrolment.grafts:
            improved = improvement.component(point.component)
            if point.strategy == "sysext" and improved is not None:
                check_layer(point, components[point.component], improved)


def prepare_layers(state: ProductState, host: Host, generation: Generation) -> None:
    """Lay out what a strategy needs beside the trees, before the generation is staged.

    Raises:
        NotTrustedError: What the patches gave is not what was signed.
        OSError: It cannot be written.
    """
    if _has_layers(state.documents.enrolment()):
        from repoint.device.strategy.sysext import prepare_extension

        prepare_extension(state, host, generation)


def _has_layers(enrolment: Enrolment) -> bool:
    return any(point.strategy == "sysext" for point in enrolment.grafts)
