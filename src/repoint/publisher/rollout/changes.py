"""Changes of a rollout, as pure functions over an offer."""

from __future__ import annotations

import secrets

import msgspec

from repoint.model.catalog import Offer
from repoint.model.halt import HaltedLetter
from repoint.model.rollout import ALL, Rollout, Step
from repoint.model.texts import check_reason
from repoint.publisher.errors import RolloutStateError


def new_rollout(steps: tuple[Step, ...], now: int, *, manual: bool) -> Rollout:
    """Return a rollout that starts now, with a new seed."""
    return Rollout(secrets.token_hex(16), now, steps, 0 if manual else None)


def started(offer: Offer, rollout: Rollout, *, narrow: bool) -> Offer:
    """Return the offer with a rollout that starts.

    Args:
        offer: The offer. All devices may install what is offered without a rollout under way.
        rollout: The rollout.
        narrow: Whether devices that may install it now may have to wait.

    Raises:
        RolloutStateError: It is not offered, its rollout is under way, or it would be narrowed.
    """
    if offer.state != "offered":
        raise RolloutStateError(
            f"{offer.label} is {offer.state} for {offer.baseline}",
            hint="Resume it with `repoint rollout resume`"
            if offer.state == "paused"
            else "Publish the next letter",
        )
    if offer.rollout is not None and offer.rollout.is_under_way(rollout.started):
        raise RolloutStateError(
            f"A rollout of {offer.label} is under way for {offer.baseline}",
            hint="Change it with `repoint rollout pause`, `promote` or `finish`",
        )
    if not narrow and rollout.share_at(rollout.started) < ALL:
        raise RolloutStateError(
            f"{offer.label} is offered to all devices for {offer.baseline}; a rollout would keep "
            "it from those that do not have it yet",
            hint="Add --narrow to do that; start the rollout of the next letter as you publish it, "
            "with `repoint publish --ramp`",
        )
    return msgspec.structs.replace(offer, rollout=rollout)


def paused(offer: Offer, now: int, reason: str) -> Offer:
    """Return the offer with its rollout paused: nobody new installs it, and the time stands.

    Raises:
        InvalidRecordError: The reason is too long, or contains a control character.
        RolloutStateError: It is not offered.
    """
    reason = check_reason(reason, required=False)
    if offer.state != "offered":
        raise RolloutStateError(
            f"{offer.label} is already {offer.state} for {offer.baseline}",
            hint="`repoint rollout show` lists the state of each rollout",
        )
    return msgspec.structs.replace(offer, state="paused", since=now, reason=reason)


def resumed(offer: Offer, halt: HaltedLetter | None, now: int) -> Offer:
    """Return the offer with its rollout going on from where it was paused or halted.

    Raises:
        RolloutStateError: It is neither paused nor halted.
    """
    stopped = [offer.since] if offer.state == "paused" else []
    if halt is not None:
        stopped.append(min(halt.since, now))
    if not stopped or offer.state == "withdrawn":
        raise RolloutStateError(
            f"{offer.label} is {offer.state} for {offer.baseline}, and no halt stops it",
            hint="Only what is paused or halted can be resumed",
        )
    rollout = offer.rollout
    if rollout is not None:
        stood = max(now - max(min(stopped), rollout.started), 0)
        rollout = rollout.moved_to(rollout.started + stood)
    return msgspec.structs.replace(
        offer,
        state="offered",
        since=now,
        reason="",
        rollout=rollout,
        resumed=offer.resumed if halt is None else max(now, halt.since),
    )


def promoted(offer: Offer, now: int) -> Offer:
    """Return the offer with its rollout at the next step.

    Raises:
        RolloutStateError: No rollout is under way, or it is at its last step.
    """
    rollout = _under_way(offer)
    number = rollout.step_at(now) + 1
    if number >= len(rollout.steps):
        raise RolloutStateError(
            f"The rollout of {offer.label} is at its last step for {offer.baseline}",
            hint="Nothing is left to promote",
        )
    if rollout.reached is not None:
        rollout = msgspec.structs.replace(rollout, reached=number)
    else:
        rollout = rollout.moved_to(now - rollout.steps[number].after)
    return msgspec.structs.replace(offer, rollout=rollout)


def finished(offer: Offer) -> Offer:
    """Return the offer for everybody at once.

    Raises:
        RolloutStateError: No rollout is under way.
    """
    _under_way(offer)
    return msgspec.structs.replace(offer, rollout=None)


def require_haltable(offer: Offer, halt: HaltedLetter | None) -> None:
    """Refuse to halt what is stopped for good, or halted already.

    Raises:
        RolloutStateError: It is withdrawn or halted.
    """
    if offer.state == "withdrawn":
        raise RolloutStateError(
            f"{offer.label} is already withdrawn for {offer.baseline}",
            hint="Publish the next letter",
        )
    if halt is not None:
        raise RolloutStateError(
            f"{offer.label} is already halted for {offer.baseline}: {halt.reason}",
            hint="Resume it with `repoint rollout resume`",
        )


def require_not_halted(offer: Offer, halt: HaltedLetter | None) -> None:
    """Refuse to change the schedule of what is halted: a halt stops more than a pause does.

    Raises:
        RolloutStateError: A halt stops it.
    """
    if halt is not None and offer.state != "withdrawn":
        raise RolloutStateError(
            f"{offer.label} is halted for {offer.baseline}: {halt.reason}",
            hint="No device installs or activates it. End the halt with `repoint rollout resume`, "
            "withdraw it for good with `repoint withdraw`, or publish the next letter",
        )


def _under_way(offer: Offer) -> Rollout:
    if offer.state != "offered" or offer.rollout is None:
        raise RolloutStateError(
            f"No rollout of {offer.label} is under way for {offer.baseline}"
            + (f": it is {offer.state}" if offer.state != "offered" else ""),
            hint="Start one with `repoint rollout start`"
            if offer.state == "offered"
            else "`repoint rollout show` lists the state of each rollout",
        )
    return offer.rollout
