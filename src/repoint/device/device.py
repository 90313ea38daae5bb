"""The public interface of a device.

Every change is a transaction: see `activate.transaction`. `Device.status` and `Device.history` only
read. Subjects of their own are parts: `Device.boot` and `Device.preferences`. Modules are imported
where they are needed, so that a command loads only its own.
"""

from __future__ import annotations

import contextlib
import copy
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from repoint.device.activate.transaction import Transactions
from repoint.device.policy.policy import read_policy
from repoint.device.policy.preferences import (
    Preferences,
    has_reports,
    reports_wanted,
    require_removal,
    require_repository,
)
from repoint.device.store.records import Actor, Enrolment, HistoryEntry
from repoint.device.store.store import Store
from repoint.device.store.store_lock import Holder
from repoint.model.errors import RepointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.activate.activation import Activation
    from repoint.device.activate.boot import BootTasks
    from repoint.device.activate.launch import Launch
    from repoint.device.activate.restart import Restarted
    from repoint.device.fetch.network import Network
    from repoint.device.fetch.progress import Progress
    from repoint.device.os_errors import Troubles
    from repoint.device.outcomes import Nothing
    from repoint.device.report.reports import Reports
    from repoint.device.status.status import Status
    from repoint.device.store.product_state import ProductState
    from repoint.device.update.check import Checked
    from repoint.device.update.enrolment.enroll import GraftRequest
    from repoint.device.update.enrolment.recognize import BaselineFilter
    from repoint.device.update.enrolment.unenroll import Unenrolled
    from repoint.device.update.install import InstallRequest, Staged
    from repoint.device.update.remove import Removed
    from repoint.host.host import Host


class Device:
    """A device with its store. Methods take the name of a product, or None for the only one.

    Args:
        path: The store.
        clock: Returns seconds since 1970.
        on_wait: Called with what is waited for: the command that holds the store's lock, or the
            host of a repository that does not answer soon.
        wait: Seconds to wait for the lock.
        policy: The folder of the policy files; the device's own by default.
        host: The machine; this one by default.
        actor: Who causes the changes that the history records; unknown by default.
        unprivileged: True for a process that can neither run health checks nor see all processes.
            It activates nothing and collects no garbage, and leaves that to the next command.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        on_wait: Callable[[Holder | str | None], None] | None = None,
        wait: float = 60.0,
        policy: Path | None = None,
        host: Host | None = None,
        unprivileged: bool = False,
        actor: Actor | None = None,
    ) -> None:
        self.store = Store(path, actor)
        self._host = host
        self._clock = clock
        self._on_wait = on_wait
        self._transactions = Transactions(
            store=self.store,
            host=lambda: self.host,
            now=self._now,
            policy=lambda: read_policy(self.store.path, policy),
            look_again=self._look_again,
            wait=wait,
            on_wait=on_wait,
            unprivileged=unprivileged,
        )

    def acting(self, actor: Actor) -> Device:
        """Return this device for changes that somebody else causes."""
        other = copy.copy(self)
        other.store = Store(self.store.path, actor)
        other._transactions = msgspec.structs.replace(self._transactions, store=other.store)
        return other

    @property
    def host(self) -> Host:
        """The machine."""
        if self._host is None:
            from repoint.host.host import Host

            self._host = Host.local()
        return self._host

    @property
    def boot(self) -> BootTasks:
        """What the start of the machine and an update of its system require."""
        from repoint.device.activate.boot import BootTasks

        return BootTasks(self._transactions)

    @property
    def preferences(self) -> Preferences:
        """The person's settings and the administrator's policy."""
        return Preferences(self.store, self._transactions.policy, self._transactions.of_product)

    @property
    def reports(self) -> Reports:
        """What this device tells its fleet, if its owner consents."""
        from repoint.device.report.moment import moment_of
        from repoint.device.report.reports import Reports

        def network() -> Network:
            from repoint.device.fetch.network import read_network

            return read_network(lambda address: None, self._on_wait)

        return Reports(
            self.store,
            self._transactions.policy,
            self._transactions.of_product,
            lambda: moment_of(self._now(), self.host.boot),
            network,
        )

    def reports_wanted(self, product: str) -> bool:
        """Return whether there is anything to report, or to delete. This loads nothing."""
        return reports_wanted(self.store.product(product), self._transactions.policy())

    def enroll(
        self,
        product: str,
        url: str,
        root: bytes,
        grafts: Mapping[str, GraftRequest],
        wanted: BaselineFilter,
        ring: str = "",
    ) -> Enrolment:
        """Enrol a product; see `update.enroll`."""
        from repoint.device.store.founding import founding
        from repoint.device.update.enrolment.enroll import EnrolmentRequest, enroll, graft_points

        network = self._network(url)
        state = self.store.product(product)
        request = EnrolmentRequest(url, root, wanted, network, ring)
        # Whatever can be refused without the store is refused before the store exists.
        points = graft_points(state, self.host, grafts)
        with founding(self.store.path), self._transactions.of_store("repoint enroll"):
            return enroll(state, self.host, request, points, now=self._now())

    def unenroll(self, product: str | None) -> Unenrolled:
        """Unenrol a product, in whatever state it is; see `update.unenroll`."""
        from repoint.device.update.enrolment.unenroll import unenroll

        command = "repoint unenroll"
        with self._transactions.of_product(command, product, even_damaged=True) as state:
            owed = self.reports.leave(state.name) if has_reports(state) else None
            unenrolled = unenroll(state, self.host)
        if owed is None or owed():
            return unenrolled
        import dataclasses

        note = "The fleet could not be asked to delete the reports of this device"
        return dataclasses.replace(unenrolled, notes=(*unenrolled.notes, note))

    def add_grafts(self, product: str | None, folders: Mapping[str, Path]) -> Enrolment:
        """Add components of an installed release; see `update.supersede.add_graft`."""
        from repoint.device.update.check import client_for, follow_move
        from repoint.device.update.enrolment.enroll import GraftRequest
        from repoint.device.update.enrolment.supersede import add_graft

        with self._transactions.of_product("repoint graft add", product) as state:
            enrolment = state.documents.enrolment()
            client = client_for(state, self._network(enrolment.repository))
            strategy = enrolment.grafts[0].strategy
            requests = {n: GraftRequest(f, strategy=strategy) for n, f in folders.items()}
            moved = add_graft(state, self.host, client, requests, now=self._now())
            follow_move(state, client, now=self._now())
            return moved

    def remove_graft(self, product: str | None, component: str) -> Enrolment:
        """Remove a component; see `update.supersede.remove_graft`."""
        from repoint.device.update.check import client_for, follow_move
        from repoint.device.update.enrolment.supersede import remove_graft

        with self._transactions.of_product("repoint graft remove", product) as state:
            client = client_for(state, self._network(state.documents.enrolment().repository))
            moved = remove_graft(state, self.host, client, component, now=self._now())
            follow_move(state, client, now=self._now())
            return moved

    def changed_outside(self, product: str | None) -> list[str]:
        """Return the components that something else has changed: see `update.check`."""
        from repoint.device.update.check import changed_outside

        return changed_outside(self.store.one(product), self.host)

    def check(self, product: str | None) -> Checked:
        """Check the repository; see `update.check`."""
        from repoint.device.update.check import check

        with self._transactions.of_product("repoint check", product) as state:
            network = self._network(state.documents.enrolment().repository)
            return check(state, self.host, network, now=self._now())

    def install(
        self,
        product: str | None,
        *,
        user_initiated: bool,
        progress: Progress | None = None,
        accepted: Collection[str] = (),
        enforced: bool = False,
    ) -> Staged | Nothing:
        """Stage the next improvement, and activate it if it needs no restart.

        What reopens fixes that are in force here is installed only if ``accepted`` names each of
        them. What is rolled out in steps waits for the turn of this device, unless a person asks or
        a deadline is enforced. See `update.install`.
        """
        from repoint.device.activate.activation import activate_without_restart
        from repoint.device.fetch.throttle import throttled
        from repoint.device.outcomes import Nothing
        from repoint.device.update.install import InstallRequest, install

        with self._transactions.of_product("repoint install", product) as state:
            now, rules = self._now(), self._transactions.policy().rules
            network = self._network(state.documents.enrolment().repository)
            if rules.bandwidth is not None:
                progress = throttled(progress, rules.bandwidth * 1000)
            request = InstallRequest(user_initiated, accepted, enforced, rules.ring)
            with self._noting_failure(state, request):
                staged = install(state, self.host, network, request, now=now, progress=progress)
            if not isinstance(staged, Nothing) and not self._transactions.unprivileged:
                activate_without_restart(state, self.host, now=now)
            return staged

    def unstage_if_stopped(self, product: str | None) -> Nothing | None:
        """Look again whether the vendor still offers what is staged: see `update.still_offered`."""
        with self._transactions.of_product("repoint restart", product) as state:
            return self._look_again(state)

    def activate(self, product: str | None) -> Activation | Nothing:
        """Activate what is staged without closing any program; see `activate.activation`.

        Whether the vendor still offers it is looked at again: see `update.still_offered`.
        """
        from repoint.device.activate.activation import activate

        with self._transactions.of_product("repoint restart", product) as state:
            stopped = self._look_again(state)
            if stopped is not None:
                return stopped
            return activate(state, self.host, now=self._now())

    def restart(self, product: str | None) -> Restarted | Nothing:
        """Close programs, activate what is staged, and start them again; see `activate.restart`.

        Whether the vendor still offers it is looked at again first: see `update.still_offered`. If
        services are started again, this waits until the trial of the letter is decided.

        Raises:
            HealthCheckError: The letter was rolled back.
        """
        from repoint.device.activate.boot import watch_trials
        from repoint.device.activate.restart import Restarted, restart

        with self._transactions.of_product("repoint restart", product) as state:
            stopped = self._look_again(state)
            if stopped is not None:
                return stopped
            result = restart(state, self.host, now=self._now())
        if isinstance(result, Restarted) and result.activation is not None:
            error = watch_trials(self._transactions, [state]).get(state.name)
            if error is not None:
                raise error
        return result

    def repair(
        self, product: str | None, *, progress: Progress | None = None
    ) -> list[str] | Nothing:
        """Prepare again what was changed in place; see `update.repair`."""
        from repoint.device.update.repair import repair

        with self._transactions.of_product("repoint repair", product) as state:
            network = self._network(state.documents.enrolment().repository)
            return repair(state, self.host, network, now=self._now(), progress=progress)

    def remove(self, product: str | None, *, why: str) -> Removed | Nothing:
        """Remove the improvement; see `update.remove`.

        If programs that were not started through the launcher run, this waits for a restart.
        """
        from repoint.device.activate.activation import activate_removal
        from repoint.device.outcomes import Nothing
        from repoint.device.update.remove import Removed, remove

        with self._transactions.of_product("repoint remove", product) as state:
            require_removal(self._transactions.policy())
            removed = remove(state, why=why, now=self._now())
            if isinstance(removed, Nothing):
                return removed
            return Removed(removed, activate_removal(state, self.host, now=self._now()))

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> Launch:
        """Prepare to start a program; see `activate.launch`. What is staged is activated first."""
        from repoint.device.activate.activation import activate_for_launch
        from repoint.device.activate.launch import prepare_launch

        activate_for_launch(self.store, self.host, self._look_again, now=self._now())
        return prepare_launch(str(self.store.path), command, environment)

    def recover(self) -> Troubles:
        """Complete what was interrupted, and remove what nothing uses any more.

        Returns:
            The products that could not be recovered.
        """
        with self._transactions.of_store("repoint agent activate") as troubles:
            return troubles

    def status(self, product: str | None) -> Status:
        """Return whether the product is protected; see `status.read_status`."""
        from repoint.device.errors import StoreDamagedError
        from repoint.device.status.status import read_status

        # Another command may remove a generation while it is read. The next attempt succeeds.
        for _ in range(3):
            try:
                return read_status(self.store.one(product), self.host)
            except StoreDamagedError:
                time.sleep(0.05)
        return read_status(self.store.one(product), self.host)

    def history(self, product: str | None) -> list[HistoryEntry]:
        """Return the history, oldest entry first."""
        return self.store.one(product).history.entries()

    @contextlib.contextmanager
    def _noting_failure(self, state: ProductState, request: InstallRequest) -> Iterator[None]:
        """Note for the fleet, if there is one, why an installation has failed."""
        try:
            yield
        except RepointError as error:
            if self.reports_wanted(state.name):
                from repoint.device.outcomes import Nothing
                from repoint.device.update.install import wanted_offer

                with contextlib.suppress(RepointError, OSError):
                    offer = wanted_offer(state, request, self._now())
                    if not isinstance(offer, Nothing):
                        self.reports.note_failure(state.name, offer.letter, error)
            raise

    def _look_again(self, state: ProductState, seconds: float | None = None) -> Nothing | None:
        from repoint.device.update.still_offered import PATIENCE, unstage_if_stopped

        seconds = PATIENCE if seconds is None else seconds
        return unstage_if_stopped(state, self._network, now=self._now(), seconds=seconds)

    def _network(self, repository: str) -> Network:
        """Return how this device reaches a repository, which the policy must allow."""
        from repoint.device.fetch.network import read_network

        policy = self._transactions.policy()
        require_repository(repository, policy)
        return read_network(lambda address: require_repository(address, policy), self._on_wait)

    def _now(self) -> int:
        return int(self._clock())
