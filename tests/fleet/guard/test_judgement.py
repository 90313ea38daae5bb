"""Judging one letter from counts."""

from __future__ import annotations

import pytest

from repoint.fleet.guard.judgement import Finding, Limits, is_arriving, judge, number_of_tests
from repoint.fleet.records import LetterName, Outcome

LETTER = LetterName("acme-kiosk", "linux-x86_64", "26.3.1", "25D2128", "b")


def outcome(
    ring: str = "", *, staged: int = 0, confirmed: int = 0, failed: int = 0, silent: int = 0
) -> Outcome:
    """Return the outcome of a letter that failed before it was staged."""
    return Outcome(
        LETTER, ring, staged + failed, staged, confirmed, failed, 0, confirmed + silent, silent, 0
    )


def bad(
    outcomes: list[Outcome],
    before: list[Outcome] | None = None,
    rings: tuple[str, ...] = (),
    *,
    arriving: bool = True,
) -> list[tuple[str, str]]:
    findings: list[Finding] = judge(
        outcomes, before or [], rings, limits=Limits(),
        tests=number_of_tests(1, len(rings)), arriving=arriving,
    )  # fmt: skip
    return [(each.subject, each.ring) for each in findings if each.verdict == "bad"]


def test_nothing_is_wrong_before_anything_is_reported() -> None:
    assert bad([]) == []


def test_each_ring_of_the_schedule_is_judged_alone() -> None:
    outcomes = [outcome("early", staged=80, failed=8), outcome(staged=5_000, confirmed=5_000)]
    assert bad(outcomes, rings=("early",)) == [("failure", "early")]


def test_invented_rings_are_judged_together() -> None:
    outcomes = [outcome(f"invented-{number}", failed=1) for number in range(8)]
    assert bad(outcomes) == [("failure", "")]


def test_devices_that_have_staged_it_count_as_good_until_they_say_otherwise() -> None:
    # Failures come at once, confirmations after the next restart: that condemns nothing.
    assert bad([outcome(staged=1_000, failed=5)]) == []


def test_a_letter_without_confirmations_for_a_day_is_silent() -> None:
    assert bad([outcome(staged=40, silent=40)]) == [("silence", "")]


def test_devices_may_be_half_again_as_silent_as_with_the_letter_before() -> None:
    before = [outcome(staged=10_000, confirmed=6_000, silent=4_000)]
    assert bad([outcome(staged=1_000, confirmed=600, silent=400)], before) == []
    assert bad([outcome(staged=1_000, confirmed=400, silent=600)], before) == []
    assert bad([outcome(staged=1_000, confirmed=100, silent=900)], before) == [("silence", "")]


def test_a_letter_before_that_few_devices_had_says_nothing_about_silence() -> None:
    before = [outcome(staged=20, confirmed=20)]
    assert bad([outcome(staged=100, confirmed=60, silent=40)], before) == []


def test_a_ring_without_a_history_is_compared_with_all_devices() -> None:
    before = [outcome(staged=10_000, confirmed=10_000)]
    outcomes = [outcome("early", staged=100, confirmed=60, silent=40)]
    assert bad(outcomes, before, ("early",)) == [("silence", "early")]


def test_nobody_is_silent_while_no_reports_arrive() -> None:
    assert bad([outcome(staged=40, silent=40)], arriving=False) == []


def test_more_tests_of_one_letter_need_more_evidence_each() -> None:
    outcomes = [outcome(failed=4)]
    alone = judge(outcomes, [], (), limits=Limits(), tests=1)[0]
    among_many = judge(outcomes, [], (), limits=Limits(), tests=number_of_tests(20, 4))[0]
    assert (alone.verdict, among_many.verdict) == ("bad", "open")
    assert number_of_tests(20, 4) == 200


@pytest.mark.parametrize(
    ("hours", "arriving"),
    [
        ([100] * 24, True),
        ([100] * 23 + [0], False),
        ([100] * 18 + [0] + [100] * 5, False),
        ([100] * 17 + [0] + [100] * 6, True),
        ([0] * 24, False),
        ([0] * 23 + [1], True),
        ([3] * 18 + [0] * 6, False),
        ([], False),
    ],
)
def test_silence_is_judged_only_while_reports_arrive(hours: list[int], arriving: bool) -> None:
    assert is_arriving(hours) is arriving
