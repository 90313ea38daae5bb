"""What the page computes from the roll-ups."""

from __future__ import annotations

import pytest

from repoint.fleet.page.figures.curves import has_letter, rollout_chart
from repoint.fleet.records import Adoption, LetterName
from repoint.model.rollout import ALL, Rollout, Step

A, B, C = (LetterName("acme-kiosk", "linux-x86_64", "26.3.1", "25D2128", each) for each in "abc")
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


def test_a_halted_letter_is_not_in_force_where_the_next_one_is() -> None:
    rollout = Rollout("0" * 32, 0, (Step(0, ALL),))
    chart = rollout_chart(rollout, [B], [Adoption(0, C, 20, 0)], 3600, stopped=60)
    real = next(curve for curve in chart.curves if curve.name == "real")
    assert real.latest == 0
