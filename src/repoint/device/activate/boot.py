"""The start of the machine, updates of its system, and the watch over letters on trial."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass

from repoint.device.activate.activation import PATIENCE_AT_START, activate
from repoint.device.activate.confirmation import current_verdict, rollback_error
from repoint.device.activate.transaction import Transactions
from repoint.device.errors import StillRunningError, StoreBusyError
from repoint.device.os_errors import Troubles, isolated
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.device.store.store_lock import locked
from repoint.device.strategy.strategy import hide_active, show_active
from repoint.model.errors import RepointError

WATCH_INTERVAL = 3.0
"""Seconds between two looks at the services of letters on trial."""


@dataclass(frozen=True)
class BootTasks:
    """What the start of the machine and an update of its system require: `Device.boot`.

    The units of systemd and the hooks of the package manager call these tasks.

    Attributes:
        transactions: Begins the transactions on the store.
    """

    transactions: Transactions

    def merge(self) -> list[tuple[str, RepointError | None]]:
        """Merge the layers that fit the base, and activate what is staged.

        Layers that no longer fit are superseded. Whether the vendor still offers what is staged is
        looked at again if the network is there: see `update.still_offered`. If programs block the
        activation, what is staged stays staged. A letter that has to prove that services run with
        it is on trial afterwards.

        Returns:
            Each product, with its error if it could not be merged or a letter was rolled back.
        """
        store, host = self.transactions.store, self.transactions.host
        states = store.enrolled()
        if not states:
            return []
        until = time.monotonic() + PATIENCE_AT_START
        before: dict[str, Generation | None] = {}
        for state in states:
            with isolated(state.name, {}):  # the recovery reports it
                before[state.name] = state.links.active()
        with self.transactions.of_store("repoint system merge") as troubles:
            states = store.enrolled()
            for state in states:
                if state.name in troubles:
                    continue
                with isolated(state.name, troubles):
                    error = rollback_error(state, before.get(state.name))
                    if error is not None:
                        troubles[state.name] = error
                    show_active(state, host())
                    with contextlib.suppress(StillRunningError):
                        self.transactions.look_again(state, until - time.monotonic())
                        activate(state, host(), now=self.transactions.now())
        return [(state.name, troubles.get(state.name)) for state in states]

    def unmerge(self) -> list[tuple[str, RepointError | None]]:
        """Unmerge all layers, so that an update of the system can write to its base.

        What is active stays active. The next start of the machine, or `merge`, merges what fits.

        Returns:
            The products whose layer was unmerged, and those where that failed, with the error.
        """
        store, host = self.transactions.store, self.transactions.host
        if not store.enrolled():
            return []
        results: list[tuple[str, RepointError | None]] = []
        with locked(store.path, "repoint system unmerge", wait=self.transactions.wait):
            for state in store.enrolled():
                troubles: Troubles = {}
                with isolated(state.name, troubles):
                    if hide_active(state, host()):
                        results.append((state.name, None))
                results += troubles.items()
        return results

    def watch(self) -> dict[str, RepointError | None]:
        """Wait until all trials are decided.

        Returns:
            Each product whose letter was confirmed, and each whose letter was rolled back, with the
            error. A letter that was removed or superseded meanwhile is neither.
        """
        return watch_trials(self.transactions, self.transactions.store.enrolled())

    def on_trial(self) -> list[str]:
        """Return the products whose active letter is on trial and undecided."""
        states = self.transactions.store.enrolled()
        return [state.name for state in states if _is_undecided(self.transactions, state)]


def watch_trials(
    transactions: Transactions, states: Sequence[ProductState]
) -> dict[str, RepointError | None]:
    """Wait until the trials of products are decided; see `BootTasks.watch`.

    The lock is free while nothing is decided.
    """
    trials = {}
    for state in states:
        with isolated(state.name, {}):  # a damaged product has no trial that could be decided
            trial = state.trials.current()
            if trial is not None:
                trials[state] = trial
    while any(state.trials.current() is not None for state in trials):
        if not any(_is_undecided(transactions, state) for state in trials):
            # Every transaction begins with the recovery, which carries the verdict out.
            with contextlib.suppress(StoreBusyError), transactions.of_store("repoint system watch"):
                continue
        time.sleep(WATCH_INTERVAL)
    results: dict[str, RepointError | None] = {}
    for state, trial in trials.items():
        letter = Generation.from_folder(trial.generation)
        error = rollback_error(state, letter)
        if error is not None or state.links.active() == letter:
            results[state.name] = error
    return results


def _is_undecided(transactions: Transactions, state: ProductState) -> bool:
    """Return whether the active letter of a product is on trial and undecided."""
    with isolated(state.name, {}):
        return current_verdict(state, transactions.host()).kind == "wait"
    return False
