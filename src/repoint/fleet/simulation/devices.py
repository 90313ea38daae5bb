"""Simulated devices: when each stages a letter, activates it and says so.

All times are in seconds since the start of the rollout. A device never sees a halt here: what a
halt prevents is cut off afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from repoint.model.rollout import ALL, LAST_MOMENT, POSITIONS, Rollout

MINUTE, HOUR, DAY = 60, 3600, 86_400

Times = NDArray[np.int32]
Flags = NDArray[np.bool_]

NEVER = np.int32(2**31 - 1)

PLATFORMS = (0.70, 0.20, 0.08, 0.02)
"""The share of each platform in the fleet."""


@dataclass(frozen=True)
class Habits:
    """How the devices of a fleet live.

    Attributes:
        size: The number of devices.
        start: The hour of the day at which the rollout starts.
        check: Seconds between two checks.
        jitter: Seconds by which a check may come later.
        by_day: The share of devices that are on for ten hours a day.
        away: The share of devices that are off at the start, for `away_for` seconds on average.
        lagging: The share of devices whose mirror is `lag` seconds behind.
        at_once: The share of devices that activate a letter within minutes.
        at_night: The share of devices that restart between three and four o'clock. All others
            wait for a person, for `person` seconds on average.
    """

    size: int
    start: int = 10
    check: int = 4 * HOUR
    jitter: int = 20 * MINUTE
    by_day: float = 0.35
    away: float = 0.05
    away_for: int = 14 * DAY
    lagging: float = 0.0
    lag: int = 12 * HOUR
    at_once: float = 0.50
    at_night: float = 0.25
    person: int = 24 * HOUR


@dataclass(frozen=True)
class Devices:
    """What each device does with one letter, if nothing stops it.

    Attributes:
        platform: The number of its platform.
        lag: How far its mirror is behind.
        staged: When it stages the letter: always at a check.
        activated: When it activates the letter.
        next_check: When it first checks after that.
        staged_told: When the fleet learns that it has staged the letter.
        settled_told: When the fleet learns that it has confirmed the letter, or that it failed.
    """

    habits: Habits
    platform: NDArray[np.uint8]
    lag: Times
    staged: Times
    activated: Times
    staged_told: Times
    settled_told: Times
    _phase: Times = field(repr=False)

    def first_check(self, after: NDArray[np.int64], chosen: Flags) -> NDArray[np.int64]:
        """Return the first check of some devices at or after a time, if they are on."""
        phase = self._phase[chosen].astype(np.int64)
        period = self.habits.check
        return phase + -(-(after - phase) // period) * period


def simulate(rollout: Rollout, habits: Habits, seed: int) -> Devices:
    """Return what devices do in a rollout that starts at the time 0."""
    random = np.random.default_rng(seed)
    size = habits.size
    positions = random.integers(0, POSITIONS, size, dtype=np.uint64)
    platform = np.searchsorted(np.cumsum(PLATFORMS)[:-1], random.random(size, np.float32))
    lag = np.where(random.random(size, np.float32) < habits.lagging, habits.lag, 0)
    phase = random.integers(0, habits.check, size, dtype=np.int32)
    life = _Life.draw(habits, random)

    seen = np.maximum(turns(rollout, positions), lag)
    staged = phase + -(-(seen - phase) // habits.check) * habits.check
    staged += random.integers(0, habits.jitter, size, dtype=np.int32)
    staged = life.first_on(staged, random)
    activated = life.first_on(_activation(staged, habits, random), random)
    # An update run tells at its end what it has staged. What happens at a restart is told by the
    # next hourly run, after a trial of ten minutes.
    staged_told = staged + random.integers(10, 2 * MINUTE, size, dtype=np.int32)
    settled = activated + 10 * MINUTE
    settled_told = settled + random.integers(0, HOUR, size, dtype=np.int32)
    return Devices(
        habits,
        platform.astype(np.uint8),
        lag.astype(np.int32),
        staged,
        activated,
        staged_told,
        settled_told,
        phase,
    )


def turns(rollout: Rollout, positions: NDArray[np.uint64]) -> Times:
    """Return when the turn of devices without a ring comes: see `Rollout.turn`."""
    limits = [-(-step.share * POSITIONS // ALL) for step in rollout.steps]
    times = np.array([rollout.started + step.after for step in rollout.steps], dtype=np.int64)
    found = np.full(positions.shape, LAST_MOMENT, dtype=np.int64)
    # From the last step to the first, so that the earliest one that reaches a device remains.
    for limit, time in zip(reversed(limits), reversed(times), strict=True):
        if limit >= POSITIONS:
            found[:] = time
        else:
            found[positions < np.uint64(limit)] = time
    return np.minimum(found, NEVER).astype(np.int32)


def _activation(staged: Times, habits: Habits, random: np.random.Generator) -> Times:
    kind = random.random(staged.shape, np.float32)
    soon = staged + random.integers(MINUTE, 10 * MINUTE, staged.shape, dtype=np.int32)
    clock = (staged + habits.start * HOUR) % DAY
    night = staged + (3 * HOUR - clock) % DAY + (soon - staged) * 6
    person = staged + (random.standard_exponential(staged.shape, np.float32) * habits.person)
    chosen = np.where(kind < habits.at_once + habits.at_night, night, person)
    return np.where(kind < habits.at_once, soon, chosen).astype(np.int32)


@dataclass(frozen=True)
class _Life:
    """When devices are on.

    Attributes:
        wakes: The second of the day at which a device is turned on, since the start of the
            rollout; negative if it is always on.
        returns: When a device that is away comes back.
    """

    wakes: Times
    returns: Times

    @classmethod
    def draw(cls, habits: Habits, random: np.random.Generator) -> _Life:
        size = habits.size
        morning = random.normal((8 - habits.start) * HOUR, 2 * HOUR, size).astype(np.int32) % DAY
        by_day = random.random(size, np.float32) < habits.by_day
        away = random.random(size, np.float32) < habits.away
        returns = random.standard_exponential(size, np.float32) * habits.away_for
        return cls(
            np.where(by_day, morning, -1).astype(np.int32),
            np.where(away, returns, 0).astype(np.int32),
        )

    def first_on(self, times: Times, random: np.random.Generator) -> Times:
        """Return each time, or a few minutes after the device is next on."""
        soon = random.integers(MINUTE, 10 * MINUTE, times.shape, dtype=np.int32)
        found = np.where(times < self.returns, self.returns + soon, times)
        hours = (found - self.wakes) % DAY
        off = (self.wakes >= 0) & (hours > 10 * HOUR)
        return np.where(off, found + DAY - hours + soon, found).astype(np.int32)
