"""The guard at work: read the reports and the rollouts, decide, halt, and notify people."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator

import msgspec

from repoint.fleet.guard.announcements import Announcement, Announcements, about, not_halted
from repoint.fleet.guard.decision import Decision, decide, is_letter_of
from repoint.fleet.guard.errors import ChangedMeanwhileError, SecondGuardError, WrongClockError
from repoint.fleet.guard.judgement import Limits, is_arriving, judge, number_of_tests
from repoint.fleet.records import FailureGroup, FleetState, Outcome
from repoint.fs.lock import LockHeldError, exclusive_lock
from repoint.model.catalog import Catalog, Offer
from repoint.model.errors import RepointError
from repoint.model.version import Letter
from repoint.publisher.catalog.catalogs import Selection, read_catalog
from repoint.publisher.rollout.control import Rollouts, ShownRollout
from repoint.repository.keys import Passphrases
from repoint.repository.repository import Repository

LOCK_FILE = "guard.lock"
"""The file in the repository's folder that the guard at work has locked."""

HOUR = 3600
_DAY = 24 * HOUR

Notify = Callable[[Announcement], None]
"""Deliver a message, in a bounded time; raise an error if it has reached nobody."""


class Round(msgspec.Struct, frozen=True):
    """What the guard saw and did in one round.

    Attributes:
        decisions: The decision about each offered letter, by product.
        announcements: Everything that people should know.
        failed: What could not be delivered to them.
    """

    decisions: dict[str, list[Decision]]
    announcements: list[Announcement]
    failed: list[str]

    @property
    def is_troubled(self) -> bool:
        """Whether something has to be tried again."""
        return bool(self.failed) or any(each.event == "trouble" for each in self.announcements)


class Guard:
    """A guard of all products of a repository.

    It keeps nothing: each round computes everything from the published documents and the store.
    What it cannot read or publish, it leaves as it is, notifies people, and tries again.

    Args:
        repository: The repository.
        passphrases: Returns the passphrase of a role's key file.
        state: Returns the store; asked in each round until it has answered once.
        notify: Every way in which people are notified; each delivers a message in a bounded time.
        limits: What is tolerated.
        halts_exploited: Whether it halts a letter whose fixes are exploited, instead of asking.
        clock: Returns seconds since 1970.
    """

    def __init__(
        self,
        repository: Repository,
        passphrases: Passphrases,
        state: Callable[[], FleetState],
        notify: list[Notify],
        limits: Limits | None = None,
        *,
        halts_exploited: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._repository = repository
        self._passphrases = passphrases
        self._state = state
        self._has_keys: set[str] = set()
        self._ways = [(each, Announcements()) for each in notify]
        self._limits = limits or Limits()
        self._halts_exploited = halts_exploited
        self._clock = clock

    def look(self) -> Round:
        """Look at every offered letter once, halt what goes wrong, and notify people."""
        decisions: dict[str, list[Decision]] = {}
        messages: list[Announcement] = []
        with self._noting(messages, "Nothing is guarded"):
            for product in self._repository.products():
                with self._noting(messages, f"{product} could not be halted", product):
                    self._require_keys(product)
                with self._noting(messages, f"{product} is not guarded", product):
                    decisions[product] = self._judge(product)
        for product, decided in decisions.items():
            for decision in decided:
                messages += self._act(product, decision)
        return Round(decisions, messages, self._say(messages))

    def _require_keys(self, product: str) -> None:
        """Load the keys once, so that a missing one is not found when it is needed."""
        if product not in self._has_keys:
            with self._repository.publication(self._passphrases) as publication:
                publication.require_halt_keys(product)
            self._has_keys.add(product)

    def _judge(self, product: str) -> list[Decision]:
        """Decide about each offered letter of a product; nothing is changed."""
        catalog = read_catalog(self._repository, product)
        halts = Rollouts(self._repository, self._passphrases, self._now).halts(product)
        offers = [o for o in catalog.offers if o.state == "offered" and halts.halted(o) is None]
        if not offers:
            return []
        state, now = self._state(), self._now()
        received = state.received(now - _DAY)
        _check_clock(received, offers, now)
        arriving = is_arriving([received.get(hour, 0) for hour in _hours_before(now)])
        # Failures come first: what is reported in between can only speak for the letter.
        failures = {since: state.failures(product, since) for since in {o.resumed for o in offers}}
        outcomes = {since: state.outcomes(product, since) for since in {0, *failures}}
        return [
            self._decide(offer, catalog, outcomes, failures[offer.resumed], arriving=arriving)
            for offer in offers
        ]

    def _decide(
        self,
        offer: Offer,
        catalog: Catalog,
        outcomes: dict[int, list[Outcome]],
        failures: list[FailureGroup],
        *,
        arriving: bool,
    ) -> Decision:
        current = [o for o in outcomes[offer.resumed] if is_letter_of(o.letter, offer)]
        earlier = _letter_before(catalog, offer)
        before = [o for o in outcomes[0] if earlier and is_letter_of(o.letter, earlier)]
        rings = offer.rollout.steps[-1].rings if offer.rollout else ()
        platforms = sum(1 for each in catalog.offers if each.label == offer.label)
        findings = judge(
            current,
            before,
            rings,
            limits=self._limits,
            tests=number_of_tests(platforms, len(rings)),
            arriving=arriving,
        )
        return decide(offer, findings, failures, halts_exploited=self._halts_exploited)

    def _act(self, product: str, decision: Decision) -> list[Announcement]:
        now = self._now()
        if decision.act == "watch":
            return []
        if decision.act == "ask":
            return [about(decision, product, "decide", now)]
        try:
            self._halt(product, decision)
        except ChangedMeanwhileError:
            return []  # the next round judges what holds then
        except RepointError as error:
            return [not_halted(decision, product, error, now)]
        return [about(decision, product, "halted", now)]

    def _halt(self, product: str, decision: Decision) -> None:
        """Publish a halt, unless the rollout is no longer what was judged.

        Raises:
            ChangedMeanwhileError: A person has paused, resumed, halted or withdrawn it.
            RepointError: The halt could not be published; nothing has changed.
        """
        judged = decision.offer

        def unchanged(shown: list[ShownRollout]) -> None:
            for each in shown:
                now = (each.offer.state, each.offer.resumed, each.halt)
                if now != (judged.state, judged.resumed, None):
                    raise ChangedMeanwhileError(f"{judged.label} has changed for {judged.baseline}")

        selection = Selection(
            product, judged.label, judged.baseline.platform, judged.baseline.build
        )
        rollouts = Rollouts(self._repository, self._passphrases, self._now, unchanged)
        rollouts.halt(selection, reason=decision.reason, by="guard")

    @contextlib.contextmanager
    def _noting(self, messages: list[Announcement], what: str, product: str = "") -> Iterator[None]:
        try:
            yield
        except RepointError as error:
            text = f"{what}: {error.message}"
            messages.append(Announcement("trouble", text, error.hint, self._now(), product))

    def _say(self, messages: list[Announcement]) -> list[str]:
        failed = []
        for notify, announcements in self._ways:
            for message in announcements.due(messages, self._now()):
                try:
                    notify(message)
                except RepointError as error:
                    failed.append(str(error))
                    break  # the next one would wait as long
                announcements.delivered(message)
        return failed

    def _now(self) -> int:
        return int(self._clock())


@contextlib.contextmanager
def only_guard(repository: Repository) -> Iterator[None]:
    """Be the one guard of a repository while the block runs.

    The kernel lets go of the lock when the process ends, however it ends. A halt is published only
    if the rollout is what was judged, so that even a guard that was held up for long does no harm.

    Raises:
        SecondGuardError: Another guard is at work.
        OSError: The repository's folder cannot be written.
    """
    try:
        with exclusive_lock(repository.path / LOCK_FILE) as lock:
            lock.write_note(f"{os.getpid()}\n".encode())
            yield
    except LockHeldError as error:
        number = error.note.decode("ascii", "replace").strip()
        raise SecondGuardError(
            f"Another guard watches {repository.path}" + (f": process {number}" if number else ""),
            hint="It acts, and this one does not",
        ) from None


def _check_clock(received: dict[int, int], offers: list[Offer], now: int) -> None:
    """Refuse to act by a clock that is certainly slow.

    What is signed by it would have expired already, and devices would refuse all of it.

    Raises:
        WrongClockError: It is behind the collector's or the publisher's.
    """
    latest = max([*received, *(offer.resumed for offer in offers)], default=0)
    if latest > now + HOUR:
        raise WrongClockError(
            "The clock of this machine is behind that of the collector or of the publisher",
            hint="Correct the clock; until then nothing is halted",
        )


def _hours_before(now: int) -> range:
    """Return the starts of the hours of a day that are over, the latest last."""
    this = now // HOUR * HOUR
    return range(this - _DAY, this, HOUR)


def _letter_before(catalog: Catalog, offer: Offer) -> Offer | None:
    earlier = [
        each
        for each in catalog.offers_for(offer.baseline)
        if Letter(each.letter) < Letter(offer.letter)
    ]
    return earlier[-1] if earlier else None
