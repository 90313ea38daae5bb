"""When something happens automatically, and why not earlier: conditions and policy, case by case."""

from __future__ import annotations

import datetime as dt
import itertools
import random
from typing import Literal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from repoint.agent.agent_state import LONGEST_RETRY, AgentState
from repoint.agent.plan import (
    DAY,
    NOTICE,
    ActivationCandidate,
    InstallCandidate,
    Plan,
    Reason,
    Situation,
    Step,
    plan,
)
from repoint.device.policy.policy import Policy, Rules
from repoint.host.conditions import Conditions
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Offer, Urgency
from tests.world import NAME

UTC = ZoneInfo("UTC")
NOW = int(dt.datetime(2026, 11, 25, 12, 0, tzinfo=UTC).timestamp())  # a Wednesday
TONIGHT = NOW + 14 * 3600  # 02:00
HOUR = 3600


def policy(**rules: object) -> Policy:
    return Policy(Rules(**rules), dict.fromkeys(rules, "p.toml"))  # type: ignore[arg-type]


def installation(
    *,
    urgency: Urgency = "routine",
    age: int = 0,
    mark: Literal["", "failed", "removed"] = "",
    retry: int = 0,
    needed: int = 100,
    automatic: bool = True,
    conditions: Conditions | None = None,
    **rules: object,
) -> Step:
    candidate = InstallCandidate(NOW - age, urgency, needed, mark, retry)
    step = plan(
        candidate, None, situation(policy(**rules), automatic=automatic, conditions=conditions)
    ).install
    assert step is not None
    return step


def situation(
    policy: Policy,
    *,
    automatic: bool = True,
    conditions: Conditions | None = None,
    now: int = NOW,
    attended: bool = True,
) -> Situation:
    return Situation(policy, automatic, conditions or Conditions(), now, attended, UTC)


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


def test_without_background_updates_nothing_is_promised_and_no_deadline_enforced() -> None:
    installation = InstallCandidate(NOW, "exploited", 1)
    scopes: tuple[RestartScope, ...] = ("app",)
    activation = ActivationCandidate(NOW, scopes, blocked=False, staged=True, announced=NOW)
    cases: list[tuple[bool, Reason]] = [(True, "unattended"), (False, "off")]
    for automatic, reason in cases:
        rules = Policy(Rules(deadline_days=0))
        result = plan(
            installation, activation, situation(rules, automatic=automatic, attended=False)
        )
        assert result == Plan(Step(None, reason), Step(None, "program"), None)


def test_off_by_policy_names_the_policy() -> None:
    off = situation(policy(automatic=False), automatic=False)
    assert plan(InstallCandidate(NOW, "routine", 1), None, off) == Plan(
        install=Step(None, "off", "p.toml")
    )


def activation(
    *,
    scopes: tuple[RestartScope, ...] = ("app",),
    blocked: bool = True,
    staged: bool = True,
    announced: int | None = NOW - HOUR,
    age: int | None = 0,
    **rules: object,
) -> Step:
    since = None if age is None else NOW - age
    candidate = ActivationCandidate(since, scopes, blocked, staged, announced)
    step = plan(None, candidate, situation(policy(**rules))).activate
    assert step is not None
    return step


ACTIVATIONS: list[tuple[str, dict[str, object], Step]] = [
    ("nothing in the way", {"blocked": False}, Step(NOW, "now")),
    ("a program in the way", {}, Step(None, "program")),
    ("no restart needed", {"scopes": ("none",), "blocked": False}, Step(NOW, "now")),
    ("programs only run replaced code", {"staged": False, "blocked": False},
     Step(None, "program")),
    ("a service", {"scopes": ("service", "app"), "blocked": False}, Step(None, "service")),
    ("a session", {"scopes": ("session", "service"), "blocked": False}, Step(None, "session")),
    ("the system", {"scopes": ("app", "system"), "blocked": False}, Step(None, "system")),
    ("the system, tonight", {"scopes": ("system",), **NIGHT}, Step(TONIGHT, "window", "p.toml")),
    ("a program, tonight", dict(NIGHT), Step(TONIGHT, "window", "p.toml")),
    ("in the window, announced long ago", {"window": "11:00-13:00"}, Step(NOW, "window", "p.toml")),
    ("in the window, announced just now", {"window": "11:00-13:00", "announced": NOW},
     Step(NOW + NOTICE, "window", "p.toml")),
    ("in the window, not announced yet", {"window": "11:00-13:00", "announced": None},
     Step(NOW + NOTICE, "window", "p.toml")),
    ("the window ends before the notice", {"window": "11:00-12:10", "announced": NOW},
     Step(NOW + 23 * HOUR, "window", "p.toml")),
    ("deadline ahead", dict(FIVE), Step(NOW + 5 * DAY, "deadline", "p.toml")),
    ("deadline passed, announced just now", {**FIVE, "age": 9 * DAY, "announced": NOW},
     Step(NOW + NOTICE, "deadline", "p.toml")),
    ("deadline passed, announced", {**FIVE, "age": 9 * DAY}, Step(NOW, "deadline", "p.toml")),
    ("a removal has no deadline", {**FIVE, "age": None}, Step(None, "program")),
    ("deadline before the window", {"deadline_days": 0, "age": -60, **NIGHT},
     Step(NOW + 60, "deadline", "p.toml")),
]  # fmt: skip


@pytest.mark.parametrize(
    ("facts", "expected"), [c[1:] for c in ACTIVATIONS], ids=[c[0] for c in ACTIVATIONS]
)
def test_activation(facts: dict[str, object], expected: Step) -> None:
    assert activation(**facts) == expected  # type: ignore[arg-type]


def test_the_plan_states_the_deadline_from_the_start() -> None:
    rules = situation(policy(deadline_days=2))
    assert plan(InstallCandidate(NOW, "routine", 1), None, rules).deadline == NOW + 2 * DAY


def test_a_plan_holds_whatever_the_combination() -> None:
    """Every combination: due exactly where nothing speaks against it, and never without space."""
    for automatic, metered, low, space, late, urgent in itertools.product([True, False], repeat=6):
        conditions = Conditions(metered, 10 if low else 90, False, 200 if space else 50)
        step = installation(
            automatic=automatic, conditions=conditions, age=6 * DAY if late else 0,
            urgency="exploited" if urgent else "routine", deadline_days=5,
        )  # fmt: skip
        due = space and (late or (automatic and not low and (urgent or not metered)))
        assert step.is_due(NOW) == due
        assert step.when is None or step.when >= NOW


# The clock.


def offer(since: int) -> Offer:
    return Offer(NAME, "a", "offered", since)


@given(jump=st.integers(-10 * 365 * DAY, 10 * 365 * DAY), days=st.integers(0, 30))
def test_no_jump_of_the_clock_makes_a_deferral_longer_than_it_is(jump: int, days: int) -> None:
    agent_state = AgentState().with_offered(["a"], NOW)
    later = NOW + jump
    agent_state = agent_state.at(later).with_offered(["a"], later)
    candidate = InstallCandidate(
        agent_state.offered_since(offer(NOW - HOUR), NOW - HOUR), "routine", 1
    )
    step = plan(candidate, None, situation(policy(defer_days=days), now=later)).install
    assert step is not None
    assert step.when is not None
    assert later <= step.when <= later + days * DAY


def test_a_clock_that_is_behind_does_not_delay_until_the_vendors_time() -> None:
    agent_state = AgentState().with_offered(["a"], NOW)
    assert agent_state.offered_since(offer(NOW + 400 * DAY), NOW + 399 * DAY) == NOW
    assert agent_state.offered_since(offer(NOW - 4 * DAY), NOW - 5 * DAY) == NOW - 4 * DAY


@pytest.mark.parametrize(
    ("since", "created", "seen", "counts"),
    [
        (NOW - 4 * DAY, NOW - 9 * DAY, NOW, NOW - 4 * DAY),
        (0, NOW - 9 * DAY, NOW, NOW - 9 * DAY),  # the catalog's thief says "long ago"
        (NOW - 20 * DAY, NOW - 9 * DAY, NOW, NOW - 9 * DAY),
        (0, NOW + 9 * DAY, NOW, NOW),  # the clock of this device is behind
        (253_402_300_799, NOW - 9 * DAY, NOW, NOW),
        (0, None, NOW, NOW),  # the device does not have the signed record
        (0, NOW - 9 * DAY, None, NOW - 9 * DAY),
        (NOW - 4 * DAY, NOW - 9 * DAY, None, NOW - 4 * DAY),
    ],
)
def test_no_offer_counts_from_before_its_improvement_was_signed(
    since: int, created: int | None, seen: int | None, counts: int
) -> None:
    agent_state = AgentState().with_offered(["a"], seen) if seen else AgentState()
    assert agent_state.offered_since(offer(since), created) == counts


def test_the_delay_after_failures_doubles_with_jitter_and_is_bounded() -> None:
    rng = random.Random(1)
    agent_state = AgentState()
    delays = []
    for _ in range(12):
        agent_state = agent_state.with_failure(NOW, rng)
        delays.append(agent_state.retry - NOW)
    assert 450 <= delays[0] <= 1350
    assert 2 * 3600 <= delays[4] <= 6 * 3600
    assert max(delays) <= LONGEST_RETRY
    firsts = {AgentState().with_failure(NOW, random.Random(n)).retry for n in range(50)}
    assert len(firsts) > 40, "a fleet comes back at many moments"
    assert agent_state.with_success() == AgentState()


def test_a_clock_that_was_set_back_does_not_prevent_a_retry() -> None:
    agent_state = AgentState().with_failure(NOW, random.Random(1)).with_announced("x", NOW)
    earlier = NOW - 100 * DAY
    assert agent_state.at(earlier).retry <= earlier + LONGEST_RETRY
    assert agent_state.at(earlier).announced == {"x": earlier}


def test_the_state_keeps_only_letters_that_are_offered() -> None:
    agent_state = AgentState().with_offered(["a"], 1).with_unfit("a").with_offered(["a", "b"], 2)
    assert agent_state.first_seen == {"a": 1, "b": 2}
    assert agent_state.is_unfit("a")
    assert agent_state.with_offered(["b"], 3).unfit == {}
