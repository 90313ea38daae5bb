"""When something happens by itself, and why not earlier: conditions and policy, case by case."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.agent.agent_state import LONGEST_WAIT, AgentState
from repoint.agent.plan import DAY, NOTICE, Plan, Ready, Step, Waiting, plan
from repoint.device.policy.policy import Policy, Rules
from repoint.host.conditions import Conditions
from repoint.model.catalog import Offer
from tests.world import NAME

UTC = ZoneInfo("UTC")
NOW = int(dt.datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp())  # a Wednesday
TONIGHT = NOW + 14 * 3600  # 02:00
HOUR = 3600


def policy(**rules: object) -> Policy:
    return Policy(Rules(**rules), dict.fromkeys(rules, "p.toml"))  # type: ignore[arg-type]


def installation(
    *,
    urgency: str = "routine",
    age: int = 0,
    mark: str = "",
    retry: int = 0,
    needed: int = 100,
    automatic: bool = True,
    conditions: Conditions | None = None,
    **rules: object,
) -> Step:
    waiting = Waiting(NOW - age, urgency, needed, mark, retry)  # type: ignore[arg-type]
    made = plan(
        waiting, None, automatic=automatic, policy=policy(**rules),
        conditions=conditions or Conditions(), now=NOW, zone=UTC,
    )  # fmt: skip
    assert made.install is not None
    return made.install


METERED = Conditions(metered=True)
LOW = Conditions(battery=19, charging=False)
NIGHT = {"window": "02:00-05:00"}
FIVE = {"deadline_days": 5}

CASES: list[tuple[str, dict[str, object], Step]] = [
    ("nothing holds it back", {}, Step(NOW, "now")),
    ("off, by the person", {"automatic": False}, Step(None, "off")),
    ("failed here", {"mark": "failed"}, Step(None, "failed")),
    ("removed here", {"mark": "removed"}, Step(None, "removed")),
    ("no space", {"needed": 1 << 63}, Step(None, "space")),
    ("failed just now", {"retry": NOW + 60}, Step(NOW + 60, "retry")),
    ("a try is due", {"retry": NOW}, Step(NOW, "now")),
    ("metered", {"conditions": METERED}, Step(None, "metered")),
    ("metered, forbidden", {"conditions": METERED, "metered": False},
     Step(None, "metered", "p.toml")),
    ("metered, allowed", {"conditions": METERED, "metered": True}, Step(NOW, "now")),
    ("metered, urgent", {"conditions": METERED, "urgency": "exploited"}, Step(NOW, "now")),
    ("metered, urgent, forbidden",
     {"conditions": METERED, "urgency": "exploited", "metered": False},
     Step(None, "metered", "p.toml")),
    ("metered, urgent is nothing special",
     {"conditions": METERED, "urgency": "exploited", "urgent": False}, Step(None, "metered")),
    ("low battery", {"conditions": LOW}, Step(None, "battery")),
    ("low battery, urgent", {"conditions": LOW, "urgency": "exploited"}, Step(None, "battery")),
    ("low battery, charging", {"conditions": Conditions(battery=5, charging=True)},
     Step(NOW, "now")),
    ("battery at the limit", {"conditions": Conditions(battery=20, charging=False)},
     Step(NOW, "now")),
    ("before the window", dict(NIGHT), Step(TONIGHT, "window", "p.toml")),
    ("in the window", {"window": "11:00-13:00"}, Step(NOW, "now")),
    ("before the window, urgent", {**NIGHT, "urgency": "exploited"}, Step(NOW, "now")),
    ("before the window, urgent is nothing special",
     {**NIGHT, "urgency": "exploited", "urgent": False}, Step(TONIGHT, "window", "p.toml")),
    ("deferred", {"defer_days": 3, "age": DAY}, Step(NOW + 2 * DAY, "deferred", "p.toml")),
    ("deferral is over", {"defer_days": 3, "age": 3 * DAY}, Step(NOW, "now")),
    ("deferred, urgent", {"defer_days": 3, "urgency": "exploited"}, Step(NOW, "now")),
    ("deferred, urgent is nothing special",
     {"defer_days": 3, "urgency": "exploited", "urgent": False},
     Step(NOW + 3 * DAY, "deferred", "p.toml")),
    ("deferred, then the window", {"defer_days": 1, **NIGHT},
     Step(TONIGHT + DAY, "deferred", "p.toml")),
    ("deadline passed: off", {**FIVE, "age": 5 * DAY, "automatic": False},
     Step(NOW, "deadline", "p.toml")),
    ("deadline passed: metered", {**FIVE, "age": 6 * DAY, "conditions": METERED},
     Step(NOW, "deadline", "p.toml")),
    ("deadline passed: window and battery", {**FIVE, **NIGHT, "age": 6 * DAY, "conditions": LOW},
     Step(NOW, "deadline", "p.toml")),
    ("deadline passed: no space", {**FIVE, "age": 6 * DAY, "needed": 1 << 63},
     Step(None, "space")),
    ("deadline passed: removed", {**FIVE, "age": 6 * DAY, "mark": "removed"},
     Step(None, "removed")),
    ("deadline passed: failed", {**FIVE, "age": 6 * DAY, "mark": "failed"}, Step(None, "failed")),
    ("deadline passed: tried just now", {**FIVE, "age": 6 * DAY, "retry": NOW + 9},
     Step(NOW + 9, "retry")),
    ("deadline ahead: off", {**FIVE, "automatic": False}, Step(NOW + 5 * DAY, "deadline", "p.toml")),
    ("deadline ahead: metered", {**FIVE, "conditions": METERED},
     Step(NOW + 5 * DAY, "deadline", "p.toml")),
    ("deadline ahead of the deferral", {**FIVE, "defer_days": 9},
     Step(NOW + 5 * DAY, "deadline", "p.toml")),
    ("window ahead of the deadline", {**FIVE, **NIGHT}, Step(TONIGHT, "window", "p.toml")),
]  # fmt: skip


@pytest.mark.parametrize(("facts", "expected"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_installation(facts: dict[str, object], expected: Step) -> None:
    assert installation(**facts) == expected  # type: ignore[arg-type]


def test_without_rounds_nothing_is_promised_and_no_deadline_kept() -> None:
    waiting = Waiting(NOW, "exploited", 1)
    ready = Ready(NOW, ("app",), False, True, NOW)
    for automatic, reason in ((True, "unattended"), (False, "off")):
        made = plan(waiting, ready, automatic=automatic, policy=Policy(Rules(deadline_days=0)),
                    conditions=Conditions(), now=NOW, attended=False, zone=UTC)  # fmt: skip
        assert made == Plan(Step(None, reason), Step(None, "program"), None)  # type: ignore[arg-type]


def test_off_by_policy_names_the_policy() -> None:
    decided = policy(automatic=False)
    made = plan(Waiting(NOW, "routine", 1), None, automatic=False, policy=decided,
                conditions=Conditions(), now=NOW, zone=UTC)  # fmt: skip
    assert made == Plan(install=Step(None, "off", "p.toml"))


def activation(
    *,
    scopes: tuple[str, ...] = ("app",),
    in_the_way: bool = True,
    staged: bool = True,
    told: int | None = NOW - HOUR,
    age: int | None = 0,
    **rules: object,
) -> Step:
    started = None if age is None else NOW - age
    ready = Ready(started, scopes, in_the_way, staged, told)  # type: ignore[arg-type]
    made = plan(None, ready, automatic=True, policy=policy(**rules), conditions=Conditions(),
                now=NOW, zone=UTC)  # fmt: skip
    assert made.activate is not None
    return made.activate


ACTIVATIONS: list[tuple[str, dict[str, object], Step]] = [
    ("nothing in the way", {"in_the_way": False}, Step(NOW, "now")),
    ("a program in the way", {}, Step(None, "program")),
    ("no restart needed", {"scopes": ("none",), "in_the_way": False}, Step(NOW, "now")),
    ("programs only run replaced code", {"staged": False, "in_the_way": False},
     Step(None, "program")),
    ("a service", {"scopes": ("service", "app"), "in_the_way": False}, Step(None, "service")),
    ("a session", {"scopes": ("session", "service"), "in_the_way": False}, Step(None, "session")),
    ("the system", {"scopes": ("app", "system"), "in_the_way": False}, Step(None, "system")),
    ("the system, tonight", {"scopes": ("system",), **NIGHT}, Step(TONIGHT, "window", "p.toml")),
    ("a program, tonight", dict(NIGHT), Step(TONIGHT, "window", "p.toml")),
    ("in the window, told long ago", {"window": "11:00-13:00"}, Step(NOW, "window", "p.toml")),
    ("in the window, told just now", {"window": "11:00-13:00", "told": NOW},
     Step(NOW + NOTICE, "window", "p.toml")),
    ("in the window, not told yet", {"window": "11:00-13:00", "told": None},
     Step(NOW + NOTICE, "window", "p.toml")),
    ("the window ends before the notice", {"window": "11:00-12:10", "told": NOW},
     Step(NOW + 23 * HOUR, "window", "p.toml")),
    ("deadline ahead", dict(FIVE), Step(NOW + 5 * DAY, "deadline", "p.toml")),
    ("deadline passed, told just now", {**FIVE, "age": 9 * DAY, "told": NOW},
     Step(NOW + NOTICE, "deadline", "p.toml")),
    ("deadline passed, told", {**FIVE, "age": 9 * DAY}, Step(NOW, "deadline", "p.toml")),
    ("a removal has no deadline", {**FIVE, "age": None}, Step(None, "program")),
    ("deadline before the window", {"deadline_days": 0, "age": -60, **NIGHT},
     Step(NOW + 60, "deadline", "p.toml")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "expected"), [c[1:] for c in ACTIVATIONS], ids=[c[0] for c in ACTIVATIONS]
)
def test_activation(facts: dict[str, object], expected: Step) -> None:
    assert activation(**facts) == expected  # type: ignore[arg-type]


def test_the_deadline_is_told_from_the_beginning() -> None:
    made = plan(Waiting(NOW, "routine", 1), None, automatic=True, policy=policy(deadline_days=2),
                conditions=Conditions(), now=NOW, zone=UTC)  # fmt: skip
    assert made.deadline == NOW + 2 * DAY


def test_a_plan_holds_whatever_the_combination() -> None:
    """Every combination: due exactly where nothing speaks against it, and never without space."""
    for automatic, metered, low, space, late, urgent in itertools.product([True, False], repeat=6):
        conditions = Conditions(metered, 10 if low else 90, False, 200 if space else 50)
        step = installation(
            automatic=automatic, conditions=conditions, age=6 * DAY if late else 0,
            urgency="exploited" if urgent else "routine", **FIVE,
        )  # fmt: skip
        due = space and (late or (automatic and not low and (urgent or not metered)))
        assert step.is_due(NOW) == due
        assert step.when is None or step.when >= NOW


# The clock.


def offer(since: int) -> Offer:
    return Offer(NAME, "a", "offered", since)


@given(jump=st.integers(-10 * 365 * DAY, 10 * 365 * DAY), days=st.integers(0, 30))
def test_no_jump_of_the_clock_makes_a_deferral_longer_than_it_is(jump: int, days: int) -> None:
    memory = AgentState().with_seen(["a"], NOW)
    later = NOW + jump
    memory = memory.at(later).with_seen(["a"], later)
    waiting = Waiting(memory.started(offer(NOW - HOUR)), "routine", 1)
    made = plan(waiting, None, automatic=True, policy=policy(defer_days=days),
                conditions=Conditions(), now=later, zone=UTC)  # fmt: skip
    assert made.install is not None
    assert made.install.when is not None
    assert later <= made.install.when <= later + days * DAY


def test_a_clock_that_is_behind_does_not_wait_for_the_vendors_moment() -> None:
    memory = AgentState().with_seen(["a"], NOW)
    assert memory.started(offer(NOW + 400 * DAY)) == NOW
    assert memory.started(offer(NOW - 4 * DAY)) == NOW - 4 * DAY


def test_the_wait_after_failures_doubles_with_jitter_and_is_bounded() -> None:
    chance = random.Random(1)
    memory = AgentState()
    waits = []
    for _ in range(12):
        memory = memory.with_failure(NOW, chance)
        waits.append(memory.retry - NOW)
    assert 450 <= waits[0] <= 1350
    assert 2 * 3600 <= waits[4] <= 6 * 3600
    assert max(waits) <= LONGEST_WAIT
    firsts = {AgentState().with_failure(NOW, random.Random(n)).retry for n in range(50)}
    assert len(firsts) > 40, "a fleet comes back at many moments"
    assert memory.with_success() == AgentState()


def test_a_clock_that_was_set_back_does_not_keep_from_trying_again() -> None:
    memory = AgentState().with_failure(NOW, random.Random(1)).with_told("x", NOW)
    earlier = NOW - 100 * DAY
    assert memory.at(earlier).retry <= earlier + LONGEST_WAIT
    assert memory.at(earlier).told == {"x": earlier}


def test_only_what_is_offered_is_remembered() -> None:
    memory = AgentState().with_seen(["a"], 1).with_unfit("a").with_seen(["a", "b"], 2)
    assert memory.seen == {"a": 1, "b": 2}
    assert memory.is_unfit("a")
    assert memory.with_seen(["b"], 3).unfit == {}
