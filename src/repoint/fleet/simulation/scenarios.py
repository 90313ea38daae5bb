"""The letters and fleets of the simulation, and what the guard does about each."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from repoint.fleet.records import Outcome
from repoint.fleet.simulation.devices import DAY, MINUTE, Devices, Habits, simulate
from repoint.fleet.simulation.watching import Fate, Stop, count_all, reached, watch
from repoint.model.rollout import Rollout
from repoint.publisher.rollout.plan import parse_ramp

USUAL = 0.001
"""The share of devices on which any letter fails."""

_AFTER = 2 * DAY
"""How long the guard watches after the last step."""


@dataclass(frozen=True)
class BadLetter:
    """A letter.

    Attributes:
        name: What is wrong with it, in words.
        fails: The share of devices on which it fails.
        hangs: The share of devices that it makes silent.
        platform: The only platform where that happens; None for all.
        away: The share of devices that are off for weeks; None for that of all fleets.
        lagging: The share of devices whose mirror is 12 hours behind.
    """

    name: str
    fails: float = 0.0
    hangs: float = 0.0
    platform: int | None = None
    away: float | None = None
    lagging: float = 0.0

    def habits(self, size: int) -> Habits:
        """Return the fleet that it meets."""
        if self.away is None:
            return Habits(size, lagging=self.lagging)
        return Habits(size, away=self.away, lagging=self.lagging)

    def fate(self, devices: Devices, seed: int) -> Fate:
        """Return what becomes of it on each device."""
        random = np.random.default_rng(seed)
        size = devices.habits.size
        usual = random.random(size, np.float32) < USUAL
        here = (
            np.ones(size, np.bool_) if self.platform is None else devices.platform == self.platform
        )
        fails = (random.random(size, np.float32) < self.fails) & here
        hangs = (random.random(size, np.float32) < self.hangs) & here
        return Fate((usual | fails) & ~hangs, fails & ~hangs, hangs)


GOOD = BadLetter("nothing")
LETTERS = (
    GOOD,
    BadLetter("fails on 0.5 %", fails=0.005),
    BadLetter("fails on 1 %", fails=0.01),
    BadLetter("fails on 2 %", fails=0.02),
    BadLetter("fails on 5 %", fails=0.05),
    BadLetter("fails on 20 %", fails=0.2),
    BadLetter("fails on 100 %", fails=1.0),
    BadLetter("fails on 100 %, on a platform of 8 %", fails=1.0, platform=2),
    BadLetter("fails on 5 %, on a platform of 8 %", fails=0.05, platform=2),
    BadLetter("hangs silently on 100 %", hangs=1.0),
    BadLetter("hangs silently on 20 %", hangs=0.2),
    BadLetter("fails on 5 %; half of the mirrors are 12 h behind", fails=0.05, lagging=0.5),
    BadLetter("fails on 100 %; half of the mirrors are 12 h behind", fails=1.0, lagging=0.5),
    BadLetter("fails on 5 %; half of the devices are off for weeks", fails=0.05, away=0.5),
)


@dataclass(frozen=True)
class Result:
    """What the guard did about a letter.

    Attributes:
        letter: The letter.
        stops: The halt of each platform; None for none.
        hit: Devices on which the letter failed by its own fault, or hung.
        activated: Devices that activated it.
    """

    letter: BadLetter
    stops: list[Stop | None]
    hit: int
    activated: int


@dataclass
class Fleets:
    """The devices of each kind of fleet in a rollout with one ramp, simulated when asked for.

    Attributes:
        ramp: The ramp.
        size: The number of devices.
    """

    ramp: str
    size: int
    _known: dict[Habits, Devices] = field(default_factory=dict)

    @property
    def rollout(self) -> Rollout:
        """The rollout, which starts at the time 0."""
        return Rollout("0" * 32, 0, parse_ramp(self.ramp))

    @property
    def minutes(self) -> int:
        """How long the guard watches."""
        return (self.rollout.end + _AFTER) // MINUTE

    def devices(self, letter: BadLetter) -> Devices:
        """Return the fleet that a letter meets. Only one other than the usual is kept."""
        habits = letter.habits(self.size)
        if habits not in self._known:
            usual = GOOD.habits(self.size)
            self._known = {key: value for key, value in self._known.items() if key == usual}
            self._known[habits] = simulate(self.rollout, habits, seed=1)
        return self._known[habits]

    def before(self) -> list[Outcome]:
        """Return what became of the letter before, which was good."""
        devices = self.devices(GOOD)
        counts = count_all(devices, GOOD.fate(devices, 2), self.minutes)
        return [counted.last(platform) for platform, counted in enumerate(counts)]

    def run(self, letter: BadLetter, before: list[Outcome]) -> Result:
        """Return what the guard does about a letter."""
        devices = self.devices(letter)
        fate = letter.fate(devices, 3)
        stops = watch(count_all(devices, fate, self.minutes), before)
        got = reached(devices, stops)
        bad = fate.is_fault | fate.hangs
        return Result(letter, stops, int((got & bad).sum()), int(got.sum()))
