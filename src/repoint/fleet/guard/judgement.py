"""What the reports say about one letter on one platform, as a state machine without I/O.

Everything follows from counts, which the store has. The rules:

1. Devices are judged by ring: each ring that the signed schedule names, and all others together.
   So a report with an invented ring opens no group of its own.
2. A device has *tried* the letter when it has staged it or failed to. It counts as good until it
   reports a failure. A failure that comes sooner than a confirmation thus condemns nothing.
3. A failure that says nothing about the letter (`repoint.model.report.TRANSIENT`) does not count.
4. A device is *silent* if it has staged the letter, and reported neither a confirmation nor a
   failure within the store's patience; what it reports later does not change that. The tolerable
   share of silent devices is that of the letter before. Without a letter before, half of the
   devices may be silent.
5. Silence is judged only while reports arrive: see `is_arriving`.
6. All tests of one letter, on all platforms and for all rings, share one chance of a false alarm
   (Bonferroni): each gets its part.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from repoint.fleet.guard.sequential import SequentialTest, Verdict
from repoint.fleet.records import Outcome

Subject = Literal["failure", "silence"]
"""What a test looks at."""

TESTS_PER_GROUP = 2
"""Failures and silence."""

ENOUGH = 200
"""Devices of the letter before from which its silent share is known well enough."""

UNKNOWN_SILENCE = 0.5
"""The share of silent devices that is tolerated if there is no letter before."""

_DEVIATIONS = 3.0
"""Standard deviations by which the silent share of the letter before may be larger than it
seems."""

_MOST_SILENCE = 0.999

_STEADY_HOURS = 6
_STEADY_RATE = 5


class Limits(msgspec.Struct, frozen=True):
    """What is tolerated.

    Attributes:
        tolerable: The share of failures that is tolerated, between 0 and 1.
        intolerable: The share of failures that must be found.
        false_alarms: The chance that a letter with a tolerable share is ever halted, over its whole
            rollout.
        missed: The chance that a letter with an intolerable share counts as good at first.
    """

    tolerable: float = 0.005
    intolerable: float = 0.02
    false_alarms: float = 0.01
    missed: float = 0.05


class Counts(msgspec.Struct, frozen=True):
    """What became of a letter on some devices.

    Attributes:
        tried: Devices that staged it or failed to.
        failed: Devices on which it failed.
        waited: Devices that staged it longer ago than the store's patience.
        silent: Devices of these that were silent for so long, whether or not they still are.
    """

    tried: int = 0
    failed: int = 0
    waited: int = 0
    silent: int = 0

    @classmethod
    def of(cls, outcomes: Iterable[Outcome]) -> Counts:
        """Return the sum of some outcomes."""
        tried = failed = waited = silent = 0
        for each in outcomes:
            tried += each.tried
            failed += each.failed
            waited += each.waited
            silent += each.silent + each.late
        return cls(tried, failed, waited, silent)


class Finding(msgspec.Struct, frozen=True):
    """The result of one test.

    Attributes:
        ring: The ring; empty for all devices in no ring that the schedule names.
        bad: Devices that failed or are silent.
        devices: Devices that were counted.
        tolerable: The tolerable share.
        progress: The logarithm of the ratio, divided by the bound at which the letter is bad.
    """

    subject: Subject
    ring: str
    verdict: Verdict
    bad: int
    devices: int
    tolerable: float
    progress: float


def judge(
    outcomes: Sequence[Outcome],
    before: Sequence[Outcome],
    rings: Sequence[str],
    *,
    limits: Limits,
    tests: int,
    arriving: bool = True,
) -> list[Finding]:
    """Judge one letter on one platform.

    Args:
        outcomes: What became of it since it was last resumed.
        before: What became of the letter before it, on the same platform.
        rings: The rings that its schedule names.
        limits: What is tolerated.
        tests: The number of tests of this letter, on all platforms: see `number_of_tests`.
        arriving: Whether reports arrive: see `is_arriving`.
    """
    findings = []
    for ring in (*rings, ""):
        counts = Counts.of(_in_group(outcomes, ring, rings))
        findings.append(
            _finding("failure", ring, failure_test(limits, tests), (counts.failed, counts.tried))
        )
        if arriving:
            earlier = Counts.of(_in_group(before, ring, rings))
            if earlier.waited < ENOUGH:
                earlier = Counts.of(before)
            test = silence_test(earlier, limits, tests)
            findings.append(_finding("silence", ring, test, (counts.silent, counts.waited)))
    return findings


def number_of_tests(platforms: int, rings: int) -> int:
    """Return the number of tests of a letter for some platforms and rings."""
    return platforms * (rings + 1) * TESTS_PER_GROUP


def failure_test(limits: Limits, tests: int) -> SequentialTest:
    """Return the test of failures, as one of some."""
    alpha = limits.false_alarms / tests
    return SequentialTest(limits.tolerable, limits.intolerable, alpha, limits.missed)


def silence_test(before: Counts, limits: Limits, tests: int) -> SequentialTest:
    """Return the test of silence, as one of some.

    How many devices wait for long depends on the hour and the day at which a letter comes, and less
    on the letter. So twice the share of the letter before is tolerable.
    """
    tolerable = UNKNOWN_SILENCE
    if before.waited >= ENOUGH:
        share = before.silent / before.waited
        share += _DEVIATIONS * (share * (1 - share) / before.waited) ** 0.5
        tolerable = min(limits.tolerable + 2 * share, (1 + share) / 2, _MOST_SILENCE)
    intolerable = max(limits.intolerable, min(1.5 * tolerable, (1 + tolerable) / 2))
    return SequentialTest(tolerable, intolerable, limits.false_alarms / tests, limits.missed)


def is_arriving(hours: Sequence[int]) -> bool:
    """Return whether reports arrive, so that silence says something about devices.

    After an outage of the collector every device seems silent, until the spooled reports have come.

    Args:
        hours: The reports of each hour of the last day, the latest last. The hour that is not over
            yet is left out.
    """
    latest = hours[-_STEADY_HOURS:]
    if sum(hours) >= _STEADY_RATE * len(hours):
        return len(latest) == _STEADY_HOURS and all(latest)
    return any(latest)


def _in_group(outcomes: Sequence[Outcome], ring: str, rings: Sequence[str]) -> list[Outcome]:
    if ring:
        return [each for each in outcomes if each.ring == ring]
    return [each for each in outcomes if each.ring not in rings]


def _finding(subject: Subject, ring: str, test: SequentialTest, seen: tuple[int, int]) -> Finding:
    bad, devices = seen
    return Finding(
        subject,
        ring,
        test.verdict(bad, devices),
        bad,
        devices,
        test.tolerable,
        test.log_ratio(bad, devices) / test.upper,
    )
