"""Printed form of rollouts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from repoint.cli.output import moment
from repoint.cli.terminal import print
from repoint.model.catalog import Offer
from repoint.model.halt import HaltedLetter
from repoint.model.rollout import ALL, Step
from repoint.model.version import Letter
from repoint.publisher.rollout.control import ShownRollout


def print_rollouts(shown: list[ShownRollout]) -> None:
    """Print the rollout of each improvement."""
    if not shown:
        print("Nothing is published yet.")
    for each in shown:
        later = superseded_by(each, shown)
        state = later or described(each.offer, each.halt)
        print(f"{each.offer.label} for {each.offer.baseline}: {state}")
        rollout = each.offer.rollout
        if rollout is None or later:
            continue
        reached = rollout.step_at(int(time.time()))
        for number, step in enumerate(rollout.steps):
            # A pause and a promotion move the schedule, so when a later step was reached is not
            # known.
            if number > reached:
                when = _when(each, number, step)
            else:
                when = f", since {moment(rollout.beginning)}" if number == 0 else ""
            print(f"  {'✓' if number <= reached else '·'} {_reach(step)}{when}")


def superseded_by(each: ShownRollout, shown: Sequence[ShownRollout]) -> str:
    """Say which later letter all devices get instead; "" if there is none.

    While a later letter reaches only some devices, the others still get the one before it.
    """
    if each.halt is not None or each.offer.state != "offered":
        return ""
    now = int(time.time())
    later = [
        other.offer
        for other in shown
        if other.offer.baseline == each.offer.baseline
        and Letter(other.offer.letter) > Letter(each.offer.letter)
        and other.offer.state == "offered"
        and other.halt is None
        and (other.offer.rollout is None or not other.offer.rollout.is_under_way(now))
    ]
    return f"superseded by ({later[-1].letter})" if later else ""


def described(offer: Offer, halt: HaltedLetter | None = None) -> str:
    """Return the state of a rollout, in a few words."""
    if offer.state == "withdrawn":
        # A withdrawal is the last word about a letter, whatever stopped it before.
        return f"withdrawn{_because(offer.reason)}"
    because = _because(halt.reason if halt is not None else offer.reason)
    rollout = offer.rollout
    if halt is not None or offer.state == "paused":
        stopped = "paused"
        if halt is not None:
            stopped = "halted by the guard" if halt.by == "guard" else "halted"
        at = f" at {share(rollout.share_at(_stopped_at(offer, halt)))}" if rollout else ""
        return f"{stopped}{at}{because}"
    if rollout is None:
        return "offered to all devices"
    now = int(time.time())
    if not rollout.is_under_way(now):
        return "offered to all devices, the rollout is complete"
    number = rollout.step_at(now)
    if number < 0:
        return f"the rollout starts {moment(rollout.started)}"
    text = f"offered to {_reach(rollout.steps[number])}"
    if rollout.reached is not None:
        return f"{text}; `repoint rollout promote` goes on to {_reach(rollout.steps[number + 1])}"
    later = rollout.steps[number + 1]
    return f"{text}, and to {_reach(later)} from {moment(rollout.started + later.after)}"


def _because(reason: str) -> str:
    return f": {reason}" if reason else ""


def share(millionths: int) -> str:
    """Format a share for people: ``10 %``, ``0.5 %``."""
    return f"{millionths / (ALL / 100):.6g} %"


def _reach(step: Step) -> str:
    rings = f"the ring{'' if len(step.rings) == 1 else 's'} {', '.join(step.rings)}"
    if step.share == ALL:
        return "all devices"
    if not step.rings:
        return f"{share(step.share)} of devices"
    return f"{rings} and {share(step.share)} of all devices" if step.share else rings


def _when(each: ShownRollout, number: int, step: Step) -> str:
    rollout = each.offer.rollout
    if rollout is None or each.halt is not None or each.offer.state != "offered":
        return ""
    if rollout.reached is None:
        return f", {moment(rollout.started + step.after)}"
    return ", by `repoint rollout promote`"


def _stopped_at(offer: Offer, halt: HaltedLetter | None) -> int:
    times = [offer.since] if offer.state == "paused" else []
    return min([*times, *([halt.since] if halt is not None else [])])
