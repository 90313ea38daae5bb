"""Transactions: every change to the store happens in one.

A transaction takes the store's lock, recovers from interruptions, does its work, and removes what
nothing uses any more.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

import msgspec

from repoint.device.os_errors import COMPLETED_NEXT, Troubles, explained
from repoint.device.outcomes import Nothing
from repoint.device.policy.policy import Policy, keep_policy
from repoint.device.store.product_state import ProductState
from repoint.device.store.store import Store
from repoint.device.store.store_lock import Holder, locked
from repoint.model.errors import RepointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.host.host import Host


LookAgain = Callable[[ProductState, float], Nothing | None]


class Transactions(msgspec.Struct, frozen=True):
    """Begins transactions on a store.

    Attributes:
        store: The store.
        host: Returns the machine.
        now: Returns seconds since 1970.
        policy: Returns the policy that is in force.
        look_again: Unstages what the vendor has stopped since the last check, and returns why; it
            asks the repository for at most some seconds. See `update.still_offered`.
        wait: Seconds to wait for another command that holds the lock.
        on_wait: Called once with the command that holds the lock.
        unprivileged: True if this process can neither merge layers, run health checks nor see all
            processes. Its transactions leave that, and garbage collection, to the next command.
    """

    store: Store
    host: Callable[[], Host]
    now: Callable[[], int]
    policy: Callable[[], Policy]
    look_again: LookAgain
    wait: float
    on_wait: Callable[[Holder | None], None] | None
    unprivileged: bool

    @contextlib.contextmanager
    def of_product(
        self, command: str, product: str | None, *, even_damaged: bool = False
    ) -> Iterator[ProductState]:
        """Begin a transaction on one product; the only enrolled one if none is named.

        Args:
            command: The command, shown to others that wait for the lock.
            product: The product.
            even_damaged: True for a command that works on a product that cannot be recovered.

        Raises:
            NotEnrolledError: The product is not enrolled, or several are and none is named.
            RepointError: The product cannot be recovered.
        """
        if not (self.store.path / "products").is_dir():
            self.store.one(product)  # raises; only enrolling creates a store
        with self.of_store(command) as troubles:
            state = self.store.one(product)
            if state.name in troubles and not even_damaged:
                raise troubles[state.name]
            yield state

    @contextlib.contextmanager
    def of_store(self, command: str) -> Iterator[Troubles]:
        """Begin a transaction on the whole store, and return the products that are damaged.

        Args:
            command: The command, shown to others that wait for the lock.
        """
        from repoint.device.activate.recovery import recover

        with locked(self.store.path, command, wait=self.wait, on_wait=self.on_wait):
            with explained(f"change the store {self.store.path}", COMPLETED_NEXT):
                troubles = recover(
                    self.store, self.host(), now=self.now(), unprivileged=self.unprivileged
                )
                keep_policy(self.store.path, self.policy())
            try:
                yield troubles
            finally:
                # The work is done or refused. What cannot be cleaned up now, the next command
                # cleans up.
                with contextlib.suppress(OSError, RepointError):
                    self._clean_up()

    def _clean_up(self) -> None:
        from repoint.device.store.trees.gc import clear_leftovers, clear_product, collect_garbage

        clear_leftovers(self.store)
        for state in self.store.enrolled():
            with contextlib.suppress(OSError, RepointError):
                clear_product(state)
        if not self.unprivileged:
            from repoint.device.activate.trial_start import record_services
            from repoint.device.status.census import seals_in_use
            from repoint.device.store.trees.launches import clear_launches

            clear_launches(str(self.store.path), self.host().processes.is_running)
            collect_garbage(self.store, lambda: seals_in_use(self.store, self.host()))
            for state in self.store.enrolled():
                with contextlib.suppress(OSError, RepointError):
                    record_services(state, self.host())
