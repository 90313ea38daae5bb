"""The guard watches simulated devices, minute by minute: the state machine of `fleet.guard`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from repoint.fleet.guard.judgement import Limits, judge, number_of_tests
from repoint.fleet.records import LetterName, Outcome
from repoint.fleet.simulation.devices import MINUTE, PLATFORMS, Devices, Flags
from repoint.fleet.stores.transitions import PATIENCE

PUBLICATION = MINUTE
"""Seconds from a verdict until the halt can be fetched."""

Series = NDArray[np.int64]


@dataclass(frozen=True)
class Fate:
    """What becomes of a letter on each device that activates it.

    Attributes:
        fails: Whether it fails, and the device says so.
        is_fault: Whether the failure is the fault of the letter.
        hangs: Whether the device is never heard of again.
    """

    fails: Flags
    is_fault: Flags
    hangs: Flags


@dataclass(frozen=True)
class Counted:
    """The counts of one platform after each minute, as the store would answer.

    Attributes:
        tried: Devices that staged it.
        failed: Devices on which it failed.
        confirmed: Devices that confirmed it.
        waited: Devices that staged it longer ago than the patience.
        silent: Devices of these that have reported nothing since.
        late: Devices of these that reported later.
    """

    tried: Series
    failed: Series
    confirmed: Series
    waited: Series
    silent: Series
    late: Series

    def outcome(self, minute: int, platform: int) -> Outcome:
        """Return the counts after a minute."""
        tried, silent = int(self.tried[minute]), int(self.silent[minute])
        return Outcome(
            LetterName("acme-kiosk", f"platform-{platform}", "1", "1", "b"),
            "",
            tried,
            tried,
            int(self.confirmed[minute]),
            int(self.failed[minute]),
            0,
            int(self.waited[minute]),
            silent,
            int(self.late[minute]),
        )

    def last(self, platform: int) -> Outcome:
        """Return the counts at the end."""
        return self.outcome(len(self.tried) - 1, platform)


@dataclass(frozen=True)
class Stop:
    """A halt of one platform.

    Attributes:
        minute: After how many minutes it was decided.
        subject: What it was decided on: failures or silence.
    """

    minute: int
    subject: str


def count_all(devices: Devices, fate: Fate, minutes: int) -> list[Counted]:
    """Return the counts of each platform after each of some minutes."""
    return [count(devices, fate, platform, minutes) for platform in range(len(PLATFORMS))]


def count(devices: Devices, fate: Fate, platform: int, minutes: int) -> Counted:
    """Return the counts of a platform after each of some minutes."""
    chosen = devices.platform == platform
    staged, told = devices.staged[chosen], devices.staged_told[chosen]
    answered = ~fate.hangs[chosen]
    settled = np.where(answered, devices.settled_told[chosen].astype(np.int64), 2**40)
    failed = fate.fails[chosen] & answered
    # What counts is when it happened, not when it was told.
    waited = np.maximum(staged.astype(np.int64) + PATIENCE, told)
    is_late = answered & (devices.activated[chosen].astype(np.int64) > staged + PATIENCE)
    quiet = is_late | ~answered | (settled > waited)
    return Counted(
        _by_minute(told, minutes),
        _by_minute(settled[failed], minutes),
        _by_minute(settled[answered & ~failed], minutes),
        _by_minute(waited, minutes),
        _by_minute(waited[quiet], minutes)
        - _by_minute(np.maximum(settled, waited)[quiet], minutes),
        _by_minute(settled[is_late], minutes),
    )


def watch(counts: list[Counted], before: list[Outcome], every: int = 1) -> list[Stop | None]:
    """Return when the guard halts each platform, if it looks every few minutes."""
    tests = number_of_tests(len(counts), 0)
    limits = Limits()
    stops: list[Stop | None] = []
    for platform, counted in enumerate(counts):
        earlier = [before[platform]] if before else []
        stop = None
        seen: Outcome | None = None
        for minute in range(0, len(counted.tried), every):
            outcome = counted.outcome(minute, platform)
            if outcome == seen:
                continue
            seen = outcome
            findings = judge([outcome], earlier, (), limits=limits, tests=tests)
            bad = [finding.subject for finding in findings if finding.verdict == "bad"]
            if bad:
                stop = Stop(minute, bad[0])
                break
        stops.append(stop)
    return stops


def reached(devices: Devices, stops: list[Stop | None]) -> Flags:
    """Return which devices activate the letter in spite of the halts.

    A device learns of a halt at its next check. What it has staged, a restart activates without a
    check.
    """
    found = np.zeros(devices.habits.size, dtype=np.bool_)
    for platform, stop in enumerate(stops):
        chosen = devices.platform == platform
        if stop is None:
            found[chosen] = True
            continue
        halted = stop.minute * MINUTE + PUBLICATION + devices.lag[chosen].astype(np.int64)
        learned = devices.first_check(halted, chosen)
        staged = devices.staged[chosen] < halted
        found[chosen] = staged & (devices.activated[chosen] < learned)
    return found


def _by_minute(times: NDArray[np.integer], minutes: int) -> Series:
    """Return how many times are over at the end of each minute."""
    number = np.minimum(-(-times.astype(np.int64) // MINUTE), minutes)
    counts = np.bincount(number, minlength=minutes + 1)[:minutes]
    return np.cumsum(counts, dtype=np.int64)
