"""Which devices a rollout reaches, and when."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from repoint.model.rollout import ALL, POSITIONS, Rollout, Step, position

DAY = 86_400
START = 1_795_586_840
SEED = "00112233445566778899aabbccddeeff"
NAME = BaselineName("linux-x86_64", "26.3.1", "25D2128")
RAMP = (
    Step(0, 10_000, ("early",)),
    Step(DAY, 100_000, ("early",)),
    Step(3 * DAY, ALL, ("early",)),
)
FIRST, MIDDLE, LAST = 0, POSITIONS // 20, POSITIONS - 1


def rollout(**changed: object) -> Rollout:
    return Rollout(**{"seed": SEED, "started": START, "steps": RAMP, **changed})  # type: ignore[arg-type] # names and types are the caller's


@pytest.mark.parametrize(
    ("where", "ring", "reached", "turn"),
    [
        (FIRST, "", None, START),
        (POSITIONS // 100 - 1, "", None, START),
        (POSITIONS // 100 + 1, "", None, START + DAY),
        (MIDDLE, "", None, START + DAY),
        (LAST, "", None, START + 3 * DAY),
        (LAST, "early", None, START),
        (LAST, "late", None, START + 3 * DAY),
        (FIRST, "", 0, START),
        (MIDDLE, "", 0, None),
        (MIDDLE, "", 1, START),
        (LAST, "", 1, None),
        (LAST, "early", 0, START),
        (LAST, "", 2, START),
    ],
)
def test_the_turn_of_a_device_comes_with_the_first_step_that_reaches_it(
    where: int, ring: str, reached: int | None, turn: int | None
) -> None:
    assert rollout(reached=reached).turn(where, ring) == turn


@pytest.mark.parametrize(
    ("after", "reached", "share"),
    [
        (-1, None, 0),
        (0, None, 10_000),
        (DAY - 1, None, 10_000),
        (DAY, None, 100_000),
        (3 * DAY, None, ALL),
        (300 * DAY, None, ALL),
        (-1, 1, 0),
        (0, 1, 100_000),
        (300 * DAY, 1, 100_000),
    ],
)
def test_the_share_grows_with_time_or_waits_for_a_person(
    after: int, reached: int | None, share: int
) -> None:
    assert rollout(reached=reached).share_at(START + after) == share
    assert rollout(reached=reached).is_under_way(START + after) is (share < ALL)


@given(where=st.integers(0, POSITIONS - 1), share=st.integers(0, ALL))
def test_a_share_of_none_reaches_nobody_and_of_all_everybody(where: int, share: int) -> None:
    assert not Step(0, 0).reaches(where, "")
    assert Step(0, ALL).reaches(where, "")
    if Step(0, share).reaches(where, ""):  # whoever has had the turn keeps it
        assert Step(0, min(share + 1, ALL)).reaches(where, "")


def test_the_positions_of_many_devices_are_spread_evenly_and_change_with_each_letter() -> None:
    secrets = [number.to_bytes(32, "big") for number in range(20_000)]
    first = [position(secret, "p", NAME, SEED) for secret in secrets]
    again = [position(secret, "p", NAME, SEED[::-1]) for secret in secrets]
    for tenth in range(10):
        low, high = POSITIONS * tenth // 10, POSITIONS * (tenth + 1) // 10
        assert 1_800 < sum(low <= where < high for where in first) < 2_200
    both = sum(
        a < POSITIONS // 10 and b < POSITIONS // 10 for a, b in zip(first, again, strict=True)
    )
    assert 130 < both < 270  # a hundredth, as if the letters knew nothing of each other


# Computed with OpenSSL: printf 'repoint rollout 1\0PRODUCT\0PLATFORM\0VERSION\0BUILD\0SEED' |
# openssl dgst -sha256 -mac hmac -macopt hexkey:SECRET
VECTORS = [
    ("00" * 32, "acme-kiosk", NAME, SEED, "78fc3be5ebb05eda"),
    ("ff" * 32, "acme-kiosk", NAME, SEED, "5714622f9183c77e"),
    ("00" * 32, "acme-kiosk", NAME, "f" * 32, "7748f9e6fbc8fb6c"),
    ("00" * 32, "p", BaselineName("linux-aarch64-m1", "1", "1"), SEED, "79f00344679475d1"),
]


@pytest.mark.parametrize(("secret", "product", "name", "seed", "expected"), VECTORS)
def test_the_position_is_the_one_that_another_program_computes(
    secret: str, product: str, name: BaselineName, seed: str, expected: str
) -> None:
    assert f"{position(bytes.fromhex(secret), product, name, seed):016x}" == expected


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"seed": "0" * 31}, "32 hexadecimal digits"),
        ({"seed": "A" * 32}, "32 hexadecimal digits"),
        ({"steps": ()}, "1 to 100 steps"),
        ({"steps": tuple(itertools.repeat(Step(0), 101))}, "1 to 100 steps"),
        ({"steps": (Step(1, ALL),)}, "starts with the rollout"),
        ({"steps": (Step(0, 1), Step(0, 2))}, "order of time"),
        ({"steps": (Step(0, 1), Step(-5, 2))}, "order of time"),
        ({"steps": (Step(0, 2), Step(1, 1))}, "fewer devices"),
        ({"steps": (Step(0, 1, ("a",)), Step(1, 2))}, "fewer devices"),
        ({"reached": 3}, "has no 3"),
        ({"reached": -1}, "has no -1"),
    ],
)
def test_a_schedule_that_contradicts_itself_is_refused(
    changed: dict[str, object], message: str
) -> None:
    with pytest.raises(RepointError, match=message):
        rollout(**changed)


@pytest.mark.parametrize("share", [-1, ALL + 1])
def test_a_share_is_between_nobody_and_all(share: int) -> None:
    with pytest.raises(RepointError, match="not between"):
        Step(0, share)
