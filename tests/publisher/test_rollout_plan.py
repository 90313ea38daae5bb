"""What a vendor may write as the schedule of a rollout."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.model.errors import RepointError
from repoint.model.rollout import ALL, Step
from repoint.publisher.rollout.plan import DEFAULT_RAMP, parse_ramp, read_plan

DAY = 86_400


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("100%", [(0, ALL)]),
        ("1% 100% over 1d", [(0, 10_000), (DAY, ALL)]),
        (
            DEFAULT_RAMP["routine"],
            [(0, 100), (4 * DAY // 3, 10_000), (8 * DAY // 3, 100_000), (4 * DAY, ALL)],
        ),
        (
            DEFAULT_RAMP["exploited"],
            [(0, 1_000), (DAY // 3, 10_000), (2 * DAY // 3, 100_000), (DAY, ALL)],
        ),
        (
            "  0.5%   12.25%  100%   over  1w ",
            [(0, 5_000), (7 * DAY // 2, 122_500), (7 * DAY, ALL)],
        ),
        ("0% 100% over 90m", [(0, 0), (5_400, ALL)]),
        ("0.0001% 100% over 2s", [(0, 1), (2, ALL)]),
    ],
)
def test_a_ramp_reaches_its_shares_at_equal_distances(
    text: str, steps: list[tuple[int, int]]
) -> None:
    assert [(step.after, step.share) for step in parse_ramp(text)] == steps


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a ramp"),
        ("over 3d", "is not a share"),
        ("1% 100%", "is not a ramp"),
        ("100% over 3d", "is not a ramp"),
        ("1% 50% over 3d", "do not grow to 100 %"),
        ("50% 10% 100% over 3d", "do not grow to 100 %"),
        ("10% 10% 100% over 3d", "do not grow to 100 %"),
        ("1 100% over 3d", "'1' is not a share"),
        ("1% 101% over 3d", "'101%' is not a share"),
        ("-1% 100% over 3d", "'-1%' is not a share"),
        ("nan% 100% over 3d", "'nan%' is not a share"),
        ("1e9% 100% over 3d", "'1e9%' is not a share"),
        ("0.00001% 100% over 3d", "too fine"),
        ("1% 100% over 3 days", "'3 days' is not a duration"),
        ("1% 100% over -3d", "'-3d' is not a duration"),
        ("1% 100% over 9999999d", "is not a duration"),
        ("1% 100% over 0d", "more steps than seconds"),
    ],
)
def test_a_ramp_that_is_none_is_refused_with_what_to_write(text: str, message: str) -> None:
    with pytest.raises(RepointError, match=message) as refused:
        parse_ramp(text)
    assert refused.value.hint


def test_a_plan_names_rings_and_shares_and_each_step_keeps_those_before(tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(
        '\ufeff[[step]]\nrings = ["lab"]\n'
        '[[step]]\nafter = "6h"\nrings = ["early"]\nshare = "1%"\n'
        '[[step]]\nafter = "2d"\nshare = "100%"\n'
    )
    assert read_plan(plan) == (
        Step(0, 0, ("lab",)),
        Step(21_600, 10_000, ("lab", "early")),
        Step(2 * DAY, ALL, ("lab", "early")),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a plan"),
        ("step = 1", "is not a plan"),
        ('[[step]]\nshare = "10%"', "does not reach all devices"),
        ('[[step]]\nshares = "100%"', "unknown field `shares`"),
        ("[[step]]\nshare = 100", "is not a plan"),
        ('[[step]]\nshare = "100%"\nrings = ["Early"]', "cannot name a ring"),
        ('[[step]]\nshare = "100%"\nafter = "soon"', "'soon' is not a duration"),
    ],
)
def test_a_plan_that_is_none_is_refused_with_its_name(
    tmp_path: Path, text: str, message: str
) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(text)
    with pytest.raises(RepointError, match=message) as refused:
        read_plan(plan)
    assert "plan.toml" in str(refused.value)
