"""How quickly a good letter reaches devices, and what the servers have to answer meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from repoint.fleet.simulation.devices import DAY, HOUR, MINUTE, Devices

IDLE = 1
"""Requests of a check that finds nothing new."""

NEWS = 5
"""Requests of a check that finds a changed catalog."""

STAGING = 10
"""Requests from a check to a staged letter."""

SHARES = (0.5, 0.9, 0.99)


@dataclass(frozen=True)
class Traffic:
    """What a rollout does.

    Attributes:
        staged: Seconds until each of `SHARES` of the devices have staged the letter.
        in_force: The same, until it is in force.
        idle: Requests a second at the mirrors between rollouts.
        mirrors: The most requests a second at the mirrors, over a minute.
        downloads: The most patches a second, over a minute.
        counts: Reports a second at the collector between rollouts.
        collector: The most reports a second at the collector, over a minute.
    """

    staged: tuple[int, ...]
    in_force: tuple[int, ...]
    idle: float
    mirrors: float
    downloads: float
    counts: float
    collector: float


def traffic(devices: Devices, minutes: int) -> Traffic:
    """Return what a rollout of a good letter does."""
    size = devices.habits.size
    idle = IDLE * size / devices.habits.check
    counts = size / (7 * DAY)
    staging = _rate(devices.staged, minutes)
    # Each device learns of the rollout at its first check after the start.
    news = np.zeros(minutes)
    news[: devices.habits.check // MINUTE] = size / devices.habits.check
    mirrors = idle + news * (NEWS - IDLE) + staging * (STAGING - NEWS)
    told = _rate(devices.staged_told, minutes) + _rate(devices.settled_told, minutes)
    return Traffic(
        _quantiles(devices.staged),
        _quantiles(devices.activated),
        idle,
        float(mirrors.max()),
        float(staging.max()),
        counts,
        float(told.max()) + counts,
    )


def _quantiles(times: np.ndarray[tuple[int], np.dtype[np.int32]]) -> tuple[int, ...]:
    return tuple(int(each) for each in np.quantile(times, SHARES))


def _rate(
    times: np.ndarray[tuple[int], np.dtype[np.int32]], minutes: int
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    number = np.minimum(times // MINUTE, minutes)
    return np.bincount(number, minlength=minutes + 1)[:minutes] / MINUTE


def hours(seconds: int) -> str:
    """Format a time for a table."""
    return f"{seconds / HOUR:.1f} h" if seconds < 2 * DAY else f"{seconds / DAY:.1f} d"
