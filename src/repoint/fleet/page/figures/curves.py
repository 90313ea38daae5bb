"""Curves over time: adoption by letter, exposed devices by CVE, and a rollout as planned and real.

The roll-ups have one row an hour. A table of many weeks has one row a day, so that people can read
it and a page stays small.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repoint.fleet.advisories.exposure import Fixes, exposures
from repoint.fleet.records import Adoption, LetterName
from repoint.model.baseline import BaselineName
from repoint.model.rollout import ALL, LAST_MOMENT, Rollout
from repoint.model.version import Letter, Version

HOUR = 3600
DAY = 86_400
SERIES = 6
"""Curves in one chart. More have colours that people confuse."""

_ROWS = 100
"""Rows of a table, about."""


@dataclass(frozen=True)
class Curve:
    """One curve.

    Attributes:
        name: What it shows.
        values: A value for each time; None where none is known.
        latest: The value now; None if it is not known.
        more: How many others the curve stands for, besides the one that it names.
    """

    name: str
    values: tuple[float | None, ...]
    latest: float | None
    more: int = 0


@dataclass(frozen=True)
class Chart:
    """Curves over the same times, in seconds since 1970."""

    times: tuple[int, ...]
    curves: tuple[Curve, ...]

    @property
    def rows(self) -> list[tuple[int, list[float | None]]]:
        """The table: for each time, the values of the curves; the latest first."""
        values = [curve.values for curve in self.curves]
        rows = [(time, [each[n] for each in values]) for n, time in enumerate(self.times)]
        return rows[::-1]


def adoption_chart(rows: Sequence[Adoption]) -> Chart:
    """Return the devices with each letter in force; what is most used comes first."""
    by_label: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    names: dict[str, LetterName] = {}
    for row in rows:
        by_label[row.letter.label][row.time] += row.devices
        names[row.letter.label] = row.letter
    times = shown_times({row.time for row in rows})
    latest = sorted(names, key=lambda label: _order(names[label]), reverse=True)
    shown = sorted(
        sorted(latest, key=lambda label: _peak(by_label[label]), reverse=True)[:SERIES],
        key=latest.index,
    )
    return Chart(
        times,
        tuple(_curve(label, [by_label[label].get(time, 0.0) for time in times]) for label in shown),
    )


def exposure_chart(rows: Sequence[Adoption], fixes: Fixes) -> Chart:
    """Return the devices that are exposed to each CVE. CVEs with the same curve share it."""
    times = shown_times({row.time for row in rows})
    shown = set(times)
    curves: dict[str, dict[int, float]] = defaultdict(dict)
    for each in exposures([row for row in rows if row.time in shown], fixes):
        curves[each.cve][each.time] = each.devices
    groups: dict[tuple[float, ...], list[str]] = defaultdict(list)
    for cve, values in curves.items():
        groups[tuple(values.get(time, 0.0) for time in times)].append(cve)
    found = [_curve(cves[0], values, len(cves) - 1) for values, cves in groups.items()]
    found.sort(key=lambda curve: (-(curve.latest or 0), curve.name))
    return Chart(times, tuple(found[:SERIES]))


def rollout_chart(
    rollout: Rollout,
    letters: Iterable[LetterName],
    rows: Sequence[Adoption],
    now: int,
    stopped: int | None,
) -> Chart:
    """Return the share of devices that have had their turn, and the share that has the letter.

    Args:
        rollout: The schedule.
        letters: The letter for each baseline that the rollout is for.
        rows: The adoption of the product.
        now: Seconds since 1970.
        stopped: When it was paused or halted; None if it was not.
    """
    wanted = list(letters)
    own: dict[int, float] = defaultdict(float)
    all_devices: dict[int, float] = defaultdict(float)
    for row in rows:
        if row.time + HOUR <= rollout.beginning:
            continue
        letter = next((each for each in wanted if _same_baseline(each, row.letter)), None)
        if letter is not None:
            # What an hour has brought is there at its end.
            time = min(row.time + HOUR, now)
            all_devices[time] += row.devices
            own[time] += row.devices if has_letter(row.letter, letter, stopped) else 0
    real = {time: 100 * own[time] / all_devices[time] for time in all_devices if all_devices[time]}
    steps = _known_steps(rollout, now, stopped)
    times = tuple(sorted({*shown_times(set(real)), *(time for time, _ in steps)}))
    return Chart(
        times,
        (
            Curve("planned", tuple(_planned(time, steps) for time in times), _planned(now, steps)),
            _curve("real", [real.get(time) for time in times]),
        ),
    )


def share_now(rollout: Rollout, now: int, stopped: int | None) -> int:
    """Return the share that has had its turn, in millionths; it stands while it is stopped."""
    return rollout.share_at(now if stopped is None else min(now, stopped))


def devices_now(rows: Sequence[Adoption]) -> list[Adoption]:
    """Return the rows of the last hour."""
    last = max((row.time for row in rows), default=0)
    return [row for row in rows if row.time == last]


def _curve(name: str, values: Sequence[float | None], more: int = 0) -> Curve:
    latest = next((value for value in reversed(values) if value is not None), None)
    return Curve(name, tuple(values), latest, more)


def _known_steps(rollout: Rollout, now: int, stopped: int | None) -> list[tuple[int, float]]:
    """Return when each known step came or comes, with its share in percent.

    The first came when the rollout began, and none before. After a pause or a promotion, that is
    all that is known of those that have passed.
    """
    if stopped is not None or rollout.reached is not None:
        share = share_now(rollout, now, stopped)
        passed = [
            (time, part)
            for time, part in _scheduled(rollout)
            if rollout.reached is None and (stopped is None or time <= stopped)
        ]
        return [*(passed or [(rollout.beginning, 100 * share / ALL)]), (now, 100 * share / ALL)]
    steps = _scheduled(rollout)
    return [*steps, (now, steps[-1][1])] if now > steps[-1][0] else steps


def _scheduled(rollout: Rollout) -> list[tuple[int, float]]:
    began = rollout.beginning
    times = [began, *(max(began, rollout.started + step.after) for step in rollout.steps[1:])]
    return [
        (min(time, LAST_MOMENT), 100 * step.share / ALL)
        for time, step in zip(times, rollout.steps, strict=True)
    ]


def _planned(time: int, steps: Sequence[tuple[int, float]]) -> float:
    return next((share for start, share in reversed(steps) if start <= time), 0.0)


def shown_times(times: set[int]) -> tuple[int, ...]:
    """Return the last time of each stretch, so that there are about a hundred."""
    ordered = sorted(times)
    if not ordered:
        return ()
    span = ordered[-1] - ordered[0]
    width = next((w for w in (HOUR, 3 * HOUR, 6 * HOUR, DAY) if span / w <= _ROWS), DAY)
    groups = itertools.groupby(ordered, key=lambda time: time // width)
    return tuple(list(group)[-1] for _, group in groups)


def has_letter(in_force: LetterName, letter: LetterName, stopped: int | None) -> bool:
    """Return whether devices with one letter in force have taken another one of their baseline.

    A later letter contains what an earlier one brought, unless that was stopped. The baseline
    contains none.
    """
    if stopped is not None:
        return in_force.letter == letter.letter
    return bool(in_force.letter) and Letter(in_force.letter) >= Letter(letter.letter)


def _baseline(name: LetterName) -> BaselineName:
    return BaselineName(name.platform, name.version, name.build)


def _same_baseline(one: LetterName, other: LetterName) -> bool:
    return _baseline(one) == _baseline(other)


def _peak(values: Mapping[int, float]) -> tuple[float, float]:
    return values[max(values)], max(values.values())


def _order(name: LetterName) -> tuple[Version, int, str]:
    return Version(name.version), len(name.letter), name.letter
