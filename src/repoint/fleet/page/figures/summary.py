"""The figures at the top of a product's page, and its failures by reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repoint.fleet.page.figures.curves import devices_now
from repoint.fleet.records import Adoption, FailureGroup, LetterName, Outcome
from repoint.model.baseline import BaselineName
from repoint.model.report import TRANSIENT, Failure
from repoint.model.version import Letter


@dataclass(frozen=True)
class Summary:
    """What the devices of a product run now.

    Attributes:
        devices: All devices.
        current: Devices with the newest published letter in force, and nothing old running.
        behind: Devices that lack the newest published letter of their baseline, or on which a
            process still runs replaced code.
        uncared: Devices of baselines for which nothing is published.
        failed: Devices whose last event about the newest published letter is a failure that is not
            transient. What earlier letters did is history.
        silent: Devices that staged the newest published letter and reported nothing since.
    """

    devices: int
    current: int
    behind: int
    uncared: int
    failed: int
    silent: int

    @property
    def current_share(self) -> float:
        """The share of current devices, from 0 to 1, of those for which something is published."""
        cared = self.current + self.behind
        return self.current / cared if cared else 0.0


@dataclass(frozen=True)
class FailureReason:
    """The failures for one reason.

    Attributes:
        failure: The reason.
        devices: Devices that failed for it.
        letters: For each label and platform, the devices, most first.
        first: When the first was reported, in seconds since 1970.
        last: When the last was reported, in seconds since 1970.
        over: Whether later letters have taken the place of all of them.
    """

    failure: Failure
    devices: int
    letters: tuple[tuple[str, str, int], ...]
    first: int
    last: int
    over: bool

    @property
    def transient(self) -> bool:
        """Whether it says nothing about the letter."""
        return self.failure in TRANSIENT


def summarize(
    rows: Sequence[Adoption], outcomes: Sequence[Outcome], newest: Mapping[BaselineName, str]
) -> Summary:
    """Return the summary of a product.

    Args:
        rows: Its adoption.
        outcomes: What became of its letters.
        newest: For each baseline, the latest letter that is published and not withdrawn.
    """
    current = behind = uncared = 0
    for row in devices_now(rows):
        letter = newest.get(_baseline(row.letter))
        if letter is None:
            uncared += row.devices
        elif _is_current(row.letter, letter):
            current += row.devices - row.exposed
            behind += row.exposed
        else:
            behind += row.devices
    last = [
        outcome
        for outcome in outcomes
        if _is_current(outcome.letter, newest.get(_baseline(outcome.letter), ""))
    ]
    return Summary(
        devices=current + behind + uncared,
        current=current,
        behind=behind,
        uncared=uncared,
        failed=sum(outcome.failed for outcome in last),
        silent=sum(outcome.silent for outcome in last),
    )


def _baseline(name: LetterName) -> BaselineName:
    return BaselineName(name.platform, name.version, name.build)


def _is_current(name: LetterName, newest: str) -> bool:
    """Return whether a letter is the newest, or later; no letter is newest if that is empty."""
    return bool(name.letter) and (not newest or Letter(name.letter) >= Letter(newest))


def failure_reasons(
    groups: Sequence[FailureGroup], newest: Mapping[BaselineName, str]
) -> list[FailureReason]:
    """Return the failures by reason: those that need a person first, and the most frequent first.

    Args:
        groups: The failures.
        newest: As for `summarize`.
    """
    by_reason: dict[Failure, list[FailureGroup]] = defaultdict(list)
    for group in groups:
        by_reason[group.failure].append(group)
    reasons = [_reason(failure, each, newest) for failure, each in by_reason.items()]
    return sorted(reasons, key=lambda one: (one.transient, one.over, -one.devices))


def _reason(
    failure: Failure, groups: Sequence[FailureGroup], newest: Mapping[BaselineName, str]
) -> FailureReason:
    letters: dict[tuple[str, str], int] = defaultdict(int)
    for group in groups:
        letters[group.letter.label, group.letter.platform] += group.devices
    return FailureReason(
        failure,
        sum(letters.values()),
        tuple(sorted(((*name, count) for name, count in letters.items()), key=lambda one: -one[2])),
        min(group.first for group in groups),
        max(group.last for group in groups),
        not any(
            _is_current(group.letter, newest.get(_baseline(group.letter), "")) for group in groups
        ),
    )
