"""Recovery: every command first completes or undoes what an earlier one left half done."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from repoint.device.activate.confirmation import (
    complete_rollback,
    confirm_or_roll_back,
    count_machine_start,
    return_to_previous,
)
from repoint.device.errors import SupersededError
from repoint.device.os_errors import Troubles, isolated
from repoint.device.store.enrolment import finish_enrolment, is_unfinished, reset_to_baseline
from repoint.device.store.history.completion import complete_history
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store import Store
from repoint.device.store.trees.gc import clear_leftovers, clear_product
from repoint.device.store.trees.in_force import rest_trees, wake_trees
from repoint.device.strategy.strategy import show_active, strategy_of
from repoint.host.errors import CannotMergeError
from repoint.host.host import Host


@dataclass
class Recovery:
    """The recovery of one product. `STEPS` are its steps; each can be repeated.

    Attributes:
        state: The product; the store must be locked.
        host: The machine.
        now: Seconds since 1970.
        kept: Where enrolment has kept files that are not the vendor's.
        has_staged_removal: True once `stage_removal` has staged the baseline.
    """

    state: ProductState
    host: Host
    now: int
    kept: list[Path | None] = field(default_factory=list)
    has_staged_removal: bool = False

    @property
    def baseline(self) -> Generation:
        """The enrolled baseline."""
        return Generation.of(self.state.documents.enrolment().baseline)

    def clear_leftovers(self) -> None:
        """Remove what interrupted commands have left half done in the product's folder."""
        clear_product(self.state)

    def finish_reset(self) -> None:
        """Complete the move to a baseline that was committed."""
        if is_unfinished(self.state):
            reset_to_baseline(self.state, self.baseline)

    def finish_grafts(self) -> None:
        """Put the links of a committed enrolment in place."""
        baseline = self.state.generations.baseline(self.baseline)
        for point in self.state.documents.enrolment().grafts:
            component = baseline.component(point.component)
            if component is not None:
                strategy = strategy_of(point, self.host)
                self.kept.append(strategy.finish(self.state, point, component))

    def count_machine_start(self) -> None:
        """Count a start of the machine that left the active letter undecided.

        The next step reports a system that does not merge.
        """
        with contextlib.suppress(SupersededError, CannotMergeError):
            count_machine_start(self.state, self.host, now=self.now)

    def open_active(self) -> None:
        """Open the trees in force, which a repair has made anew, to all accounts."""
        active = self.state.links.active()
        if active is not None:
            wake_trees(self.state, active)

    def merge_active(self) -> None:
        """Show programs what is active, and stop a layer from shadowing an updated base.

        If the system does not merge, `status` reports it.
        """
        with contextlib.suppress(SupersededError, CannotMergeError):
            show_active(self.state, self.host)

    def drop_staged(self) -> None:
        """Drop the staged link if its generation is active, or is marked as failed or removed."""
        staged = self.state.links.staged()
        if staged is None or (staged.letter and self.state.marks.get(staged) is not None):
            self.state.links.clear_staged()

    def complete_rollback(self) -> None:
        """Return from an active letter that is marked as failed, with its services."""
        complete_rollback(self.state, self.host)

    def return_to_previous(self) -> None:
        """Return from an active letter that is marked as failed, without its services."""
        return_to_previous(self.state, self.host)

    def complete_history(self) -> None:
        """Add the entries that the history lacks; then nothing of an enrolment is left to do."""
        complete_history(self.state, now=self.now, kept=self.kept)
        finish_enrolment(self.state)

    def stage_removal(self) -> None:
        """Stage the baseline if the active letter is marked as removed."""
        active = self.state.links.active() or self.baseline
        marked = active.letter and self.state.marks.get(active) is not None
        if marked and self.state.links.staged() is None:
            self.state.links.point_staged(self.baseline)
            self.has_staged_removal = True

    def confirm_or_roll_back(self) -> None:
        """Confirm the active letter or roll it back, unless its removal was just staged."""
        if not self.has_staged_removal:
            confirm_or_roll_back(self.state, self.host, now=self.now)


Step = Callable[[Recovery], None]

STEPS: tuple[Step, ...] = (
    Recovery.clear_leftovers,
    Recovery.finish_reset,
    Recovery.finish_grafts,
    Recovery.count_machine_start,
    Recovery.open_active,
    Recovery.merge_active,
    Recovery.drop_staged,
    Recovery.complete_rollback,
    Recovery.complete_history,
    Recovery.stage_removal,
    Recovery.confirm_or_roll_back,
)
"""The steps, in order. What has moved on must not be shadowed, so merging comes early."""

UNPRIVILEGED_STEPS: tuple[Step, ...] = (
    Recovery.clear_leftovers,
    Recovery.finish_reset,
    Recovery.finish_grafts,
    Recovery.drop_staged,
    Recovery.return_to_previous,
    Recovery.complete_history,
    Recovery.stage_removal,
)
"""The steps without merging and health checks, which are left to the next command."""


def recover(store: Store, host: Host, *, now: int, unprivileged: bool = False) -> Troubles:
    """Bring every product into a state that an undisturbed command could have left.

    Partly written trees and files are removed first, and so is the folder of a product whose
    enrolment is not committed or is removed.

    Args:
        store: The store; it must be locked.
        host: The machine.
        now: Seconds since 1970.
        unprivileged: True if this process can neither merge layers nor run health checks.

    Returns:
        The products that could not be recovered. They do not stop the recovery of the others.
    """
    troubles: Troubles = {}
    if not store.path.is_dir():
        return troubles
    clear_leftovers(store)
    for state in store.enrolled():
        recovery = Recovery(state, host, now)
        with isolated(state.name, troubles):
            for step in UNPRIVILEGED_STEPS if unprivileged else STEPS:
                step(recovery)
    rest_trees(store)
    return troubles
