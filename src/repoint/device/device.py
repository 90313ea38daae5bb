"""What a person or an agent does at a device: the library's front door.

Every change takes the store's lock, finishes what an earlier one left half done, does its work,
and collects what is no longer used. `Device.status` and `Device.history` only look.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from repoint.device.outcomes import Nothing
from repoint.device.policy.effective_settings import (
    EffectiveSettings,
    effective_settings,
    require_free_settings,
    require_removal,
    require_repository,
)
from repoint.device.policy.policy import Policy, keep_policy, read_policy
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Enrolment, Generation, HistoryEntry, UserSettings
from repoint.device.store.store import Store
from repoint.device.store.store_lock import Holder, locked
from repoint.model.errors import RepointError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from repoint.device.activate.activation import Activation
    from repoint.device.activate.launch import Launch
    from repoint.device.activate.restart import Restarted
    from repoint.device.fetch.progress import Progress
    from repoint.device.status.status import Status
    from repoint.device.update.check import Checked
    from repoint.device.update.enroll import BaselineFilter, GraftRequest
    from repoint.device.update.install import Staged
    from repoint.device.update.remove import Removed
    from repoint.host.host import Host

_POLL_INTERVAL = 3.0  # seconds between two looks at services on trial


class Device:
    """A device with its store.

    Args:
        path: The store.
        clock: Seconds since 1970.
        waiting: Told who is at work when the store is locked by another command.
        wait: Seconds to wait for it.
        policy: The folder of the policy files; the device's own where none is given.
        host: The machine; this one by default.
        unprivileged: Whether neither health checks are run nor processes looked at: for a
            process without the rights to do that well. It activates and collects nothing, and
            leaves that to the next command.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], float] = time.time,
        waiting: Callable[[Holder | None], None] | None = None,
        wait: float = 60.0,
        policy: Path | None = None,
        host: Host | None = None,
        unprivileged: bool = False,
    ) -> None:
        self.store = Store(path)
        self._policy = policy
        self._host = host
        self._prepares_only = unprivileged
        self._clock = clock
        self._waiting = waiting
        self._wait = wait

    @property
    def host(self) -> Host:
        """The machine."""
        if self._host is None:
            from repoint.host.host import Host

            self._host = Host.local()
        return self._host

    def enroll(
        self,
        product: str,
        url: str,
        root: bytes,
        grafts: Mapping[str, GraftRequest],
        wanted: BaselineFilter,
    ) -> Enrolment:
        """Enrol a product; see `enrolling.enroll`."""
        from repoint.device.update.enroll import enroll

        require_repository(url, self.policy())
        with self._at_work("repoint enroll"):
            place = self.store.product(product)
            return enroll(place, self.host, url, root, grafts, wanted, now=self._now())

    def unenroll(self, product: str | None) -> str:
        """Take a product out; see `unenrolling.unenroll`. Returns its name."""
        from repoint.device.update.unenroll import unenroll

        with self._product_at_work("repoint unenroll", product) as place:
            unenroll(place, self.host)
            return place.name

    def check(self, product: str | None) -> Checked:
        """Ask the repository for news; see `checking.check`."""
        from repoint.device.update.check import check

        with self._product_at_work("repoint check", product) as place:
            require_repository(place.documents.enrolment().repository, self.policy())
            return check(place, self.host, now=self._now())

    def install(
        self, product: str | None, *, user_initiated: bool, progress: Progress | None = None
    ) -> Staged | Nothing:
        """Download, verify, prepare and stage; see `installing.install`.

        An improvement that needs no restart is activated at once, unless programs stand in the
        way.
        """
        from repoint.device.activate.activation import activate
        from repoint.device.errors import StillRunningError
        from repoint.device.fetch.throttle import throttled
        from repoint.device.update.install import install

        with self._product_at_work("repoint install", product) as place:
            policy = self.policy()
            require_repository(place.documents.enrolment().repository, policy)
            if policy.rules.bandwidth is not None:
                progress = throttled(progress, policy.rules.bandwidth * 1000)
            staged = install(
                place, self.host, user_initiated=user_initiated, now=self._now(), progress=progress
            )
            if isinstance(staged, Nothing):
                return staged
            if _needs_no_restart(place, staged) and not self._prepares_only:
                with contextlib.suppress(StillRunningError):
                    activate(place, self.host, now=self._now())
            return staged

    def activate(self, product: str | None) -> Activation | Nothing:
        """Switch to what is staged without closing anything; see `activating.activate`."""
        from repoint.device.activate.activation import activate

        with self._product_at_work("repoint restart", product) as place:
            return activate(place, self.host, now=self._now())

    def restart(self, product: str | None) -> Restarted | Nothing:
        """Close, switch, start again; see `restarting.restart`.

        Where services are started again, it is seen to it that they run.

        Raises:
            HealthCheckError: They do not, or the health check failed; what ran before is active.
        """
        from repoint.device.activate.restart import Restarted, restart

        with self._product_at_work("repoint restart", product) as place:
            done = restart(place, self.host, now=self._now())
        if isinstance(done, Restarted) and done.activation is not None:
            failure = self._watch([place]).get(place.name)
            if failure is not None:
                raise failure
        return done

    def on_trial(self) -> list[str]:
        """The products whose active letter is neither confirmed nor taken back yet."""
        from repoint.device.activate.confirmation import look
        from repoint.device.activate.trial import WAITS

        return [place.name for place in self.store.enrolled() if look(place, self.host) == WAITS]

    def watch(self) -> dict[str, RepointError | None]:
        """Wait for what is on trial, and confirm it or take it back.

        Returns:
            Each product whose letter was confirmed, and each whose letter was taken back with why.
        """
        return self._watch(self.store.enrolled())

    def tidy(self) -> None:
        """Finish what was left half done, and collect what is no longer used."""
        with self._at_work("repoint agent activate"):
            pass

    def remove(self, product: str | None, *, why: str) -> Removed | Nothing:
        """Remove the improvement; see `removing.remove`.

        Where programs run that were not started through the launcher, it waits for a restart.
        """
        from repoint.device.activate.activation import activate
        from repoint.device.errors import StillRunningError
        from repoint.device.update.remove import Removed, remove

        with self._product_at_work("repoint remove", product) as place:
            require_removal(self.policy())
            removed = remove(place, why=why, now=self._now())
            if isinstance(removed, Nothing):
                return removed
            if place.links.staged() is not None:
                try:
                    activate(place, self.host, now=self._now())
                except StillRunningError:
                    return Removed(removed, is_complete=False)
            return Removed(removed, is_complete=True)

    def launch(self, command: Sequence[str], environment: Mapping[str, str]) -> Launch:
        """Prepare to start a program; see `launch.prepare_launch`.

        What is staged is activated first where that is possible without waiting: a program's
        start is the moment at which nobody notices.
        """
        from repoint.device.activate.launch import prepare_launch

        self._activate_quietly()
        return prepare_launch(str(self.store.path), command, environment)

    def settle(self) -> list[tuple[str, RepointError | None]]:
        """At the start of the machine, and after its update: put in force what fits its base.

        Layers that still fit are merged, others are superseded. What waits for a restart is
        activated, unless programs stand in the way. Where that has to show that services run with
        it, it is on trial then: somebody has to `watch`.

        Returns:
            Each product, and why it could not be brought in order, if it could not.
        """
        from repoint.device.activate.activation import activate
        from repoint.device.activate.confirmation import rollback_error
        from repoint.device.errors import StillRunningError
        from repoint.device.strategy.strategy import show_active

        done: list[tuple[str, RepointError | None]] = []
        if not self.store.enrolled():
            return done
        before = {place.name: place.links.active() for place in self.store.enrolled()}
        with self._at_work("repoint system merge"):
            for place in self.store.enrolled():
                failure: RepointError | None = rollback_error(place, before.get(place.name))
                try:
                    show_active(place, self.host)
                    if place.links.staged() is not None:
                        with contextlib.suppress(StillRunningError):
                            activate(place, self.host, now=self._now())
                except RepointError as error:
                    failure = error
                done.append((place.name, failure))
        return done

    def step_aside(self) -> list[str]:
        """Before the system is updated: take all layers away, so that its base can be written to.

        What is active stays so; the next start, or `settle`, merges again what fits then.

        Returns:
            The products whose layer was taken away.
        """
        from repoint.device.strategy.strategy import hide_active

        if not self.store.enrolled():
            return []
        with locked(self.store.path, "repoint system unmerge", wait=self._wait):
            return [place.name for place in self.store.enrolled() if hide_active(place, self.host)]

    def status(self, product: str | None) -> Status:
        """The answer to: am I protected? See `status.read_status`."""
        from repoint.device.errors import StoreDamagedError
        from repoint.device.status.status import read_status

        # Another command may collect a generation between two of our looks; then look again.
        for _ in range(3):
            with contextlib.suppress(StoreDamagedError):
                return read_status(self.store.one(product), self.host)
            time.sleep(0.05)
        return read_status(self.store.one(product), self.host)

    def history(self, product: str | None) -> list[HistoryEntry]:
        """What happened, oldest first."""
        return self.store.one(product).history.entries()

    def settings(self, product: str | None) -> UserSettings:
        """What the person decided."""
        return self.store.one(product).documents.settings()

    def policy(self) -> Policy:
        """What the administrator decided."""
        return read_policy(self.store.path, self._policy)

    def decided(self, product: str | None) -> EffectiveSettings:
        """What counts of the person's settings, under the policy; and who decided it."""
        return effective_settings(self.settings(product), self.policy())

    def change_settings(self, product: str | None, settings: UserSettings) -> None:
        """Write down what the person decides.

        Raises:
            PolicyForbidsError: The policy decides it, and otherwise.
        """
        from repoint.device.os_errors import explained

        require_free_settings(settings, self.policy())
        with (
            self._product_at_work("repoint settings", product) as place,
            explained(f"write down the settings of {place.name}"),
        ):
            place.documents.set_settings(settings)

    def _watch(self, places: Sequence[ProductState]) -> dict[str, RepointError | None]:
        from repoint.device.activate.confirmation import look, rollback_error
        from repoint.device.activate.trial import WAITS
        from repoint.device.errors import StoreBusyError

        trials = {place: trial for place in places if (trial := place.trials.current()) is not None}
        while any(place.trials.current() is not None for place in trials):
            if not any(look(place, self.host) == WAITS for place in trials):
                # What is decided is done by every start of a command.
                with contextlib.suppress(StoreBusyError), self._at_work("repoint system watch"):
                    continue
            # Nobody is kept from the store meanwhile.
            time.sleep(_POLL_INTERVAL)
        found: dict[str, RepointError | None] = {}
        for place, trial in trials.items():
            letter = Generation.from_folder(trial.generation)
            failure = rollback_error(place, letter)
            # What was removed meanwhile, or superseded, is neither confirmed nor taken back.
            if failure is not None or place.links.active() == letter:
                found[place.name] = failure
        return found

    def _activate_quietly(self) -> None:
        from repoint.device.activate.activation import activate

        waiting = [p for p in self.store.enrolled() if p.links.staged() is not None]
        for place in waiting:
            # A program must start even where the switch cannot be made now: somebody is at work,
            # the store is another user's, or programs run without the launcher.
            with (
                contextlib.suppress(RepointError),
                locked(self.store.path, "repoint launch", wait=0),
            ):
                if _activates_at_start(place):
                    activate(place, self.host, now=self._now())

    @contextlib.contextmanager
    def _product_at_work(self, command: str, product: str | None) -> Iterator[ProductState]:
        if not (self.store.path / "products").is_dir():
            self.store.one(product)  # only enrolment makes a store
        with self._at_work(command):
            yield self.store.one(product)

    @contextlib.contextmanager
    def _at_work(self, command: str) -> Iterator[None]:
        from repoint.device.activate.recovery import recover
        from repoint.device.os_errors import COMPLETED_NEXT, explained

        with locked(self.store.path, command, wait=self._wait, waiting=self._waiting):
            with explained(f"change the store {self.store.path}", COMPLETED_NEXT):
                recover(self.store, self.host, now=self._now(), settling=not self._prepares_only)
                keep_policy(self.store.path, self.policy())
            try:
                yield
            finally:
                # What was to be done is done or refused; what cannot be tidied up now, the next
                # command tidies up.
                with contextlib.suppress(OSError, RepointError):
                    self._tidy_up()

    def _tidy_up(self) -> None:
        from repoint.device.activate.confirmation import note_services
        from repoint.device.status.census import seals_in_use
        from repoint.device.store.gc import clear_leftovers, collect_garbage

        clear_leftovers(self.store)
        if not self._prepares_only:
            collect_garbage(self.store, lambda: seals_in_use(self.store, self.host))
            for place in self.store.enrolled():
                note_services(place, self.host)

    def _now(self) -> int:
        return int(self._clock())


def _needs_no_restart(state: ProductState, staged: Staged) -> bool:
    from repoint.device.activate.activation import pending_scopes

    return bool(staged.improvement) and pending_scopes(state) <= {"none"}


def _activates_at_start(state: ProductState) -> bool:
    from repoint.device.activate.activation import pending_scopes

    return pending_scopes(state) <= {"none", "app"}
