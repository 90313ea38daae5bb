"""A vendor with offered letters, a real store of reports, and the guard between them."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

from repoint.fleet.guard.announcements import Announcement
from repoint.fleet.guard.guard import Guard, Round
from repoint.fleet.records import FleetState
from repoint.fleet.stores.opening import open_state
from repoint.model.baseline import BaselineName
from repoint.model.halt import Halt
from repoint.model.report import Failure, Report
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.publisher import Publisher
from repoint.publisher.rollout.control import Rollouts
from repoint.publisher.rollout.plan import parse_ramp
from tests.fleet.reports import event, new_id
from tests.world import NAME, Vendor, no_passphrase

NOW = 1_800_000_000
HOUR, DAY = 3600, 86_400
PRODUCT = "acme-kiosk"
A = Selection(PRODUCT, "26.3.1 (a)")


class Scene:
    """A letter ``a`` that is rolled out to the ring ``early`` and a growing share."""

    def __init__(self, folder: Path, vendor: Vendor) -> None:
        self.vendor = vendor
        self.now = NOW
        vendor.clock = itertools.count(NOW - 10 * DAY)
        vendor.release()
        self.rollouts = Publisher(
            vendor.repository, passphrases=no_passphrase, clock=lambda: self.now
        ).rollouts
        self.rollouts.start(A, parse_ramp("1% 10% 100% over 2d", rings=("early",)), narrow=True)
        self.state = open_state(f"sqlite:///{folder}/fleet.db", clock=lambda: self.now)
        self.announced: list[Announcement] = []

    def guard(
        self,
        state: Callable[[], FleetState] | None = None,
        *notify: Callable[[Announcement], None],
        halts_exploited: bool = False,
    ) -> Guard:
        return Guard(
            self.vendor.repository,
            no_passphrase,
            state or (lambda: self.state),
            [self.announced.append, *notify],
            halts_exploited=halts_exploited,
            clock=lambda: self.now,
        )

    def look(self) -> Round:
        return self.guard().look()

    def halts(self) -> Halt:
        rollouts: Rollouts = self.rollouts
        return rollouts.halts(PRODUCT)

    def halted(self) -> list[BaselineName]:
        shown = self.rollouts.show(PRODUCT)
        return [each.offer.baseline for each in shown if each.halt is not None]

    def report(self, *groups: list[Report]) -> None:
        self.state.add([report for group in groups for report in group], self.now)

    def steady_flow(self, hours: int = 24) -> None:
        """Add reports of another product in each of the last hours."""
        for hour in range(hours + 1):
            reports = [event("staged", new_id(), product="other") for _ in range(6)]
            self.state.add(reports, self.now - hour * HOUR)


def confirmed(
    number: int, letter: str = "a", ring: str = "", baseline: BaselineName = NAME, age: int = 0
) -> list[Report]:
    """Return the reports of devices that staged and confirmed a letter."""
    ids = [new_id() for _ in range(number)]
    return [
        event(kind, each, letter, ring=ring, baseline=baseline, age=age)
        for each in ids
        for kind in ("staged", "confirmed")
    ]


def failed(
    number: int, failure: Failure = "health", letter: str = "a", ring: str = "",
    baseline: BaselineName = NAME,
) -> list[Report]:  # fmt: skip
    """Return the reports of devices on which a letter failed."""
    return [
        event("failed", new_id(), letter, failure=failure, ring=ring, baseline=baseline)
        for _ in range(number)
    ]


def silent(number: int, letter: str = "a", age: int = 2 * DAY) -> list[Report]:
    """Return the reports of devices that staged a letter and were never heard of again."""
    return [event("staged", new_id(), letter, age=age) for _ in range(number)]


def late(number: int, letter: str = "a") -> list[Report]:
    """Return the reports of devices that confirmed a letter two days after they staged it."""
    waiting = silent(number, letter)
    return [*waiting, *(event("confirmed", each.id, letter) for each in waiting)]
