"""What a rollout's card shows: its state, its share, its next step, and which buttons work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from repoint.fleet.page.audit import Action
from repoint.fleet.page.figures.curves import (
    Chart,
    devices_now,
    has_letter,
    rollout_chart,
    share_now,
)
from repoint.fleet.page.vendor import Rollout
from repoint.fleet.records import Adoption, LetterName, Outcome
from repoint.model.baseline import BaselineName
from repoint.model.halt import HaltedLetter
from repoint.model.rollout import ALL, Step
from repoint.publisher.rollout.control import ShownRollout

State = Literal["halted", "paused", "withdrawn", "under way", "complete"]


@dataclass(frozen=True)
class Card:
    """A rollout as the page shows it.

    Attributes:
        rollout: The rollout.
        state: Its state.
        reason: Why it is stopped; may be empty.
        by_guard: Whether the guard halted it.
        since: When that state started, in seconds since 1970.
        share: The share of devices that has had its turn, in percent.
        real: The share that has the letter in force, in percent; None if it is not known.
        rings: The rings that have had their turn.
        next: The next step; None if there is none.
        next_time: When it comes, in seconds since 1970; None if a person takes it.
        chart: The planned and the real curve; None if everybody gets it at once.
        staged, confirmed, failed, silent: Devices, as `Outcome` counts them.
        actions: What can be done in that state.
    """

    rollout: Rollout
    state: State
    reason: str
    by_guard: bool
    since: int
    share: float
    real: float | None
    rings: tuple[str, ...]
    next: Step | None
    next_time: int | None
    chart: Chart | None
    staged: int
    confirmed: int
    failed: int
    silent: int
    actions: tuple[Action, ...]

    @property
    def urgent(self) -> bool:
        """Whether attacks were seen."""
        return self.rollout.shown[0].offer.urgency == "exploited"

    @property
    def mixed(self) -> bool:
        """Whether its builds are in different states, so that one sentence cannot say it."""
        states = {(each.offer.state, each.halt is None) for each in self.rollout.shown}
        return len(states) > 1


def card(rollout: Rollout, rows: Sequence[Adoption], outcomes: Sequence[Outcome], now: int) -> Card:
    """Return the card of a rollout."""
    shown = rollout.shown[0]
    schedule = shown.offer.rollout
    stopped = _stopped(rollout)
    state = _state(rollout, now)
    names = [_name(rollout.product, each.offer.baseline, each.offer.letter)
             for each in rollout.shown]  # fmt: skip
    chart, number = None, -1
    if schedule is not None:
        chart = rollout_chart(schedule, names, rows, now, stopped)
        number = schedule.step_at(now if stopped is None else min(now, stopped))
    following = _following(rollout, number)
    time = None
    if schedule is not None and following is not None and stopped is None:
        time = None if schedule.reached is not None else schedule.started + following.after
    own = [outcome for outcome in outcomes if outcome.letter in names]
    return Card(
        rollout=rollout,
        state=state,
        reason=_reason(_deciding(rollout)),
        by_guard=state == "halted" and any(_is_by_guard(each.halt) for each in rollout.shown),
        since=_since(rollout),
        share=100.0 if schedule is None else 100 * share_now(schedule, now, stopped) / ALL,
        real=_real(names, rows, stopped),
        rings=schedule.steps[number].rings if schedule is not None and number >= 0 else (),
        next=following,
        next_time=time,
        chart=chart,
        staged=sum(outcome.staged for outcome in own),
        confirmed=sum(outcome.confirmed for outcome in own),
        failed=sum(outcome.failed for outcome in own),
        silent=sum(outcome.silent for outcome in own),
        actions=_actions(state, following is not None),
    )


def state_of(rollout: Rollout, now: int) -> State:
    """Return the state of a rollout."""
    return _state(rollout, now)


def _state(rollout: Rollout, now: int) -> State:
    offers = [each.offer for each in rollout.shown]
    # What stops some builds is said first. A withdrawal is the last word about a letter.
    if any(_halt(each) is not None for each in rollout.shown):
        return "halted"
    if any(offer.state == "withdrawn" for offer in offers):
        return "withdrawn"
    if any(offer.state == "paused" for offer in offers):
        return "paused"
    schedule = offers[0].rollout
    return "under way" if schedule is not None and schedule.is_under_way(now) else "complete"


def _halt(shown: ShownRollout) -> HaltedLetter | None:
    """Return the halt that matters: none if the letter was withdrawn."""
    return shown.halt if shown.offer.state != "withdrawn" else None


def _deciding(rollout: Rollout) -> ShownRollout:
    """Return the build that decides the state: a halted one, or one that is not offered."""
    return min(rollout.shown, key=lambda each: (_halt(each) is None, each.offer.state == "offered"))


def _reason(shown: ShownRollout) -> str:
    halt = _halt(shown)
    return halt.reason if halt is not None else shown.offer.reason


def _is_by_guard(halt: HaltedLetter | None) -> bool:
    return halt is not None and halt.by == "guard"


def _actions(state: State, has_next: bool) -> tuple[Action, ...]:
    match state:
        case "under way":
            return ("pause", *(("promote",) if has_next else ()), "halt")
        case "paused":
            return ("resume", "halt")
        case "halted":
            return ("resume",)
        case "complete":
            return ("pause", "halt")
    return ()


def _stopped(rollout: Rollout) -> int | None:
    shown = rollout.shown[0]
    times = [shown.offer.since] if shown.offer.state != "offered" else []
    if shown.halt is not None:
        times.append(shown.halt.since)
    return min(times, default=None)


def _since(rollout: Rollout) -> int:
    shown = _deciding(rollout)
    halt = _halt(shown)
    if halt is not None:
        return halt.since
    if shown.offer.state == "offered" and shown.offer.rollout is not None:
        return shown.offer.rollout.beginning
    return shown.offer.since


def _following(rollout: Rollout, number: int) -> Step | None:
    schedule = rollout.shown[0].offer.rollout
    if schedule is None or number + 1 >= len(schedule.steps):
        return None
    return schedule.steps[number + 1]


def _real(
    names: Sequence[LetterName], rows: Sequence[Adoption], stopped: int | None
) -> float | None:
    own = total = 0
    for row in devices_now(rows):
        wanted = next((each for each in names if _baseline(each) == _baseline(row.letter)), None)
        if wanted is not None:
            total += row.devices
            own += row.devices if has_letter(row.letter, wanted, stopped) else 0
    return 100 * own / total if total else None


def _name(product: str, baseline: BaselineName, letter: str) -> LetterName:
    return LetterName(product, baseline.platform, baseline.version, baseline.build, letter)


def _baseline(name: LetterName) -> tuple[str, str, str]:
    return name.platform, name.version, name.build
