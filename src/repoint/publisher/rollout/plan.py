"""How a vendor writes the schedule of a rollout: a ramp in one line, or a plan in a TOML file."""

from __future__ import annotations

import itertools
import re
from decimal import Decimal, InvalidOperation
from pathlib import Path

import msgspec

from repoint.model.catalog import Urgency
from repoint.model.errors import RepointError
from repoint.model.rollout import ALL, Step
from repoint.publisher.errors import RolloutPlanError

DEFAULT_RAMP: dict[Urgency, str] = {
    "routine": "0.01% 1% 10% 100% over 4d",
    "exploited": "0.1% 1% 10% 100% over 24h",
}
"""The ramp of a rollout for which none is given, by urgency."""

_FORM = 'Write it as "1% 10% 50% 100% over 3d"'
_DURATION = re.compile(r"(\d{1,6})(s|m|min|h|d|w)")
_SECONDS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86_400, "w": 604_800}


class _PlannedStep(msgspec.Struct, forbid_unknown_fields=True):
    after: str = "0s"
    share: str = "0%"
    rings: tuple[str, ...] = ()


class _Plan(msgspec.Struct, forbid_unknown_fields=True):
    step: tuple[_PlannedStep, ...]


def parse_ramp(text: str, *, rings: tuple[str, ...] = ()) -> tuple[Step, ...]:
    """Parse a ramp: shares, and the time over which they are reached at equal distances.

    Args:
        text: The ramp, such as ``1% 10% 50% 100% over 3d``: it starts with 1 %, and after three
            days all devices have had their turn.
        rings: The rings that go first, with the first step.

    Raises:
        RolloutPlanError: The text is malformed, or the shares do not grow to 100 %.
        InvalidRecordError: There are too many steps.
    """
    shares, over, duration = text.strip().partition(" over ")
    parts = [parse_share(part) for part in shares.split()]
    if not parts or (over and len(parts) == 1) or (not over and len(parts) > 1):
        raise RolloutPlanError(f"{text!r} is not a ramp", hint=_FORM)
    seconds = parse_duration(duration) if over else 0
    if parts[-1] != ALL or any(a >= b for a, b in itertools.pairwise(parts)):
        raise RolloutPlanError(f"The shares of the ramp {text!r} do not grow to 100 %", hint=_FORM)
    if seconds < len(parts) - 1:
        raise RolloutPlanError(
            f"The ramp {text!r} has more steps than seconds", hint="Give it more time"
        )
    last = max(len(parts) - 1, 1)
    return tuple(Step(seconds * number // last, share, rings) for number, share in enumerate(parts))


def read_plan(path: Path) -> tuple[Step, ...]:
    """Read the steps of a rollout from a TOML file: see the vendor guide for its form.

    Raises:
        OSError: The file cannot be read.
        RolloutPlanError: It does not follow the form, or does not reach all devices.
        InvalidRecordError: The steps are out of order.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
        plan = msgspec.toml.decode(text, type=_Plan)
        steps: tuple[Step, ...] = ()
        rings: tuple[str, ...] = ()
        for planned in plan.step:
            rings = tuple(dict.fromkeys((*rings, *planned.rings)))
            share = max(parse_share(planned.share), steps[-1].share if steps else 0)
            steps += (Step(parse_duration(planned.after), share, rings),)
    except (UnicodeDecodeError, msgspec.DecodeError) as error:
        raise RolloutPlanError(
            f"{path} is not a plan: {str(error).rstrip('.')}",
            hint='Write [[step]] with after = "1d", share = "10%" and rings = ["early"]',
        ) from None
    except RepointError as error:
        raise RolloutPlanError(f"{path}: {error.message}", hint=error.hint) from None
    if not steps or steps[-1].share != ALL:
        raise RolloutPlanError(
            f"The plan {path} does not reach all devices",
            hint='End it with a step of share = "100%"',
        )
    return steps


def parse_share(text: str) -> int:
    """Parse a share such as ``0.5%``; return it in millionths.

    Raises:
        RolloutPlanError: It is malformed, not between 0 and 100 %, or finer than a millionth.
    """
    try:
        share = Decimal(text.removesuffix("%")) * (ALL // 100)
    except InvalidOperation:
        share = Decimal("NaN")
    if not text.endswith("%") or not share.is_finite() or not 0 <= share <= ALL:
        raise RolloutPlanError(
            f"{text!r} is not a share of devices", hint="Write a number from 0% to 100%"
        )
    if share != int(share):
        raise RolloutPlanError(f"The share {text} is too fine", hint="The finest is 0.0001%")
    return int(share)


def parse_duration(text: str) -> int:
    """Parse a duration such as ``90m``, ``24h`` or ``3d``; return it in seconds.

    Raises:
        RolloutPlanError: It is malformed.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise RolloutPlanError(
            f"{text!r} is not a duration", hint="Write a number with s, m, h, d or w, such as 3d"
        )
    return int(match[1]) * _SECONDS[match[2]]
