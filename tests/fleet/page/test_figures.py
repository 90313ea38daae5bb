"""What the page computes from the roll-ups."""

from __future__ import annotations

import pytest

from repoint.fleet.page.figures.curves import has_letter, rollout_chart
from repoint.fleet.page.figures.summary import failure_reasons, summarize
from repoint.fleet.records import Adoption, FailureGroup, LetterName, Outcome
from repoint.model.baseline import BaselineName
from repoint.model.rollout import ALL, Rollout, Step

A, B, C = (LetterName("acme-kiosk", "linux-x86_64", "26.3.1", "25D2128", each) for each in "abc")
NAME = BaselineName("linux-x86_64", "26.3.1", "25D2128")
BASELINE = LetterName("acme-kiosk", "linux-x86_64", "26.3.1", "25D2128", "")


@pytest.mark.parametrize(
    ("in_force", "stopped", "has"),
    [(B, None, True), (C, None, True), (A, None, False), (BASELINE, None, False),
     (B, 5, True), (C, 5, False), (A, 5, False), (BASELINE, 5, False)],
)  # fmt: skip
def test_a_letter_that_was_stopped_is_in_no_later_one(
    in_force: LetterName, stopped: int | None, has: bool
) -> None:
    assert has_letter(in_force, B, stopped) is has


def test_what_is_planned_begins_with_the_rollout_after_a_promotion() -> None:
    began, now = 1_000_000, 1_010_000
    ramp = (Step(0, ALL // 100), Step(100_000, ALL // 2), Step(200_000, ALL))
    promoted = Rollout("0" * 32, began, ramp).moved_to(now - 100_000)
    chart = rollout_chart(promoted, [B], [], now, stopped=None)
    planned = chart.curves[0]
    assert chart.times == (began, now, now + 100_000)
    assert planned.values == (1.0, 50.0, 100.0)


def test_what_this_hour_has_brought_is_there_now_and_not_before_the_rollout() -> None:
    began, now = 10 * 3600 + 60, 10 * 3600 + 300
    rollout = Rollout("0" * 32, began, (Step(0, ALL),))
    chart = rollout_chart(rollout, [B], [Adoption(10 * 3600, B, 20, 0)], now, stopped=None)
    assert chart.times == (began, now)
    assert chart.curves[1].values == (None, 100.0)


FAILED = FailureGroup(B, "", "health", 4, 0, 60)


@pytest.mark.parametrize(("newest", "over"), [({}, False), ("b", False), ("c", True), ("a", False)])
def test_a_failure_is_over_once_a_later_letter_is_published(
    newest: str | dict[str, str], over: bool
) -> None:
    published = {NAME: newest} if isinstance(newest, str) else {}
    (reason,) = failure_reasons([FAILED], published)
    assert reason.over is over
    summary = summarize(
        [Adoption(0, C, 20, 0)], [Outcome(B, "", 4, 4, 0, 4, 0, 0, 0, 0)], published
    )
    assert summary.failed == (0 if over else 4)


def test_a_halted_letter_is_not_in_force_where_the_next_one_is() -> None:
    rollout = Rollout("0" * 32, 0, (Step(0, ALL),))
    chart = rollout_chart(rollout, [B], [Adoption(0, C, 20, 0)], 3600, stopped=60)
    real = next(curve for curve in chart.curves if curve.name == "real")
    assert real.latest == 0
