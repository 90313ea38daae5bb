"""False alarms: how often a good letter is halted, by this guard and by plausible others."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from repoint.fleet.guard.judgement import Limits, failure_test, number_of_tests
from repoint.fleet.guard.sequential import SequentialTest
from repoint.fleet.simulation.devices import MINUTE, PLATFORMS, Devices, Habits, simulate
from repoint.fleet.simulation.scenarios import GOOD
from repoint.fleet.simulation.watching import count_all, watch
from repoint.model.rollout import Rollout

Counts = NDArray[np.int64]
Design = Callable[[SequentialTest, Counts, Counts, Counts], NDArray[np.bool_]]
"""A guard that sees, after each minute, the devices that have staged a letter, that have confirmed
it, and on which it failed in each of many runs; it returns which runs it halts."""


def this_guard(
    test: SequentialTest, staged: Counts, _: Counts, failed: Counts
) -> NDArray[np.bool_]:
    """Judge failures among devices that have staged the letter, in one test without an end."""
    return _ever(test, failed, staged[:, None])


def against_confirmations(
    test: SequentialTest, _: Counts, confirmed: Counts, failed: Counts
) -> NDArray[np.bool_]:
    """Judge failures among devices of which it is known how the letter went."""
    good = np.maximum(confirmed[:, None] - failed, 0)
    return _ever(test, failed, failed + good)


def starting_again(
    test: SequentialTest, staged: Counts, _: Counts, failed: Counts
) -> NDArray[np.bool_]:
    """Start a new test after each that says good, as for one lot of goods after another."""
    halted = np.zeros(failed.shape[1], np.bool_)
    base = np.zeros(failed.shape[1])
    for minute, devices in enumerate(staged):
        ratio = failed[minute] * test.for_bad + (devices - failed[minute]) * test.for_good
        halted |= ratio - base >= test.upper
        base = np.where(ratio - base <= test.lower, ratio, base)
    return halted


def false_alarms(
    devices: Devices, minutes: int, share: float, designs: dict[str, Design], runs: int
) -> dict[str, float]:
    """Return how often each design halts a letter that fails on a tolerable share of devices."""
    random = np.random.default_rng(4)
    test = failure_test(Limits(), number_of_tests(len(PLATFORMS), 0))
    halted = {name: np.zeros(runs, np.bool_) for name in designs}
    for platform in range(len(PLATFORMS)):
        chosen = devices.platform == platform
        staged = _by_minute(devices.staged_told[chosen], minutes)
        # A trial ends ten minutes after the activation; a failure comes within the first.
        settled = _by_minute(devices.settled_told[chosen], minutes)
        failing = _by_minute(devices.settled_told[chosen] - 9 * MINUTE, minutes)
        steps = np.diff(failing, prepend=0)
        failed = np.cumsum(random.binomial(steps[:, None], share, (minutes, runs)), axis=0)
        for name, design in designs.items():
            halted[name] |= design(test, staged, settled, failed)
    return {name: float(found.mean()) for name, found in halted.items()}


def whole_guard(rollout: Rollout, minutes: int, size: int, runs: int) -> float:
    """Return how often the whole guard, with its test of silence, halts a usual letter.

    Each letter and the letter before start at any hour of the day, so that the habits of people
    differ between them.
    """
    random = np.random.default_rng(5)
    halted = 0
    for run in range(runs):
        hours = random.integers(0, 24, 2)
        both = []
        for number, hour in enumerate(hours):
            devices = simulate(rollout, Habits(size, start=int(hour)), seed=1000 + 2 * run + number)
            both.append(count_all(devices, GOOD.fate(devices, 2 * run + number), minutes))
        before = [counted.last(platform) for platform, counted in enumerate(both[0])]
        halted += any(watch(both[1], before, every=10))
    return halted / runs


def _ever(test: SequentialTest, bad: Counts, results: Counts) -> NDArray[np.bool_]:
    ratio: NDArray[np.float64] = test.log_ratio(bad, results)  # type: ignore[arg-type, assignment]
    found: NDArray[np.bool_] = np.any(np.greater_equal(ratio, test.upper), axis=0)
    return found


def _by_minute(times: NDArray[np.int32], minutes: int) -> Counts:
    number = np.minimum(-(-times.astype(np.int64) // MINUTE), minutes)
    return np.cumsum(np.bincount(number, minlength=minutes + 1)[:minutes])
