"""The rollout of an offered improvement: a signed schedule, from which each device decides alone.

A schedule has steps. A step gives the improvement to named rings and to a share of all devices. A
device has a position between 0 and 1, which follows from a secret of its own and from the letter's
seed. Its turn comes with the first step that names its ring or whose share is greater than its
position. The positions of one letter say nothing about those of the next, so no device is always
first.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import Annotated

import msgspec

from repoint.model.baseline import BaselineName
from repoint.model.errors import InvalidRecordError
from repoint.model.names import check_ring

ALL = 1_000_000
"""The share of all devices: shares are in millionths."""

POSITIONS = 2**64
"""The number of positions that a device may have."""

LAST_MOMENT = 64_060_588_799
Moment = Annotated[int, msgspec.Meta(ge=0, le=LAST_MOMENT)]
"""Seconds since 1970, until the year 3999: any sum of two is still a date that can be shown."""

MAX_STEPS = 100
MAX_RINGS = 100

_SEED = re.compile(r"[0-9a-f]{32}")


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One step of a schedule.

    Attributes:
        after: Seconds after the start of the rollout.
        share: The devices that have had their turn, in millionths of all.
        rings: The rings that have had their turn.
    """

    after: Moment
    share: int = 0
    rings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not 0 <= self.share <= ALL:
            raise InvalidRecordError(f"The share {self.share} is not between 0 and {ALL}")
        if len(self.rings) > MAX_RINGS:
            raise InvalidRecordError(f"A step has more than {MAX_RINGS} rings")
        for ring in self.rings:
            check_ring(ring)

    def reaches(self, position: int, ring: str) -> bool:
        """Return whether a device with that position has its turn; ``ring`` may be empty."""
        return ring in self.rings or position * ALL < self.share * POSITIONS


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The schedule of one improvement.

    Attributes:
        seed: 32 hexadecimal digits that decide the positions; new for each letter.
        started: The time that the steps count from, in seconds since 1970. A pause and a promotion
            move it.
        steps: The steps, in order. Each gives it to all devices that the one before gives it to.
        reached: The number of the step that is in force, counted from 0, if only a person goes on
            to the next; None if time does.
        begun: When it began, in seconds since 1970, if `started` was moved since; else 0.
    """

    seed: str
    started: Moment
    steps: tuple[Step, ...]
    reached: int | None = None
    begun: Moment = 0

    def __post_init__(self) -> None:
        if not _SEED.fullmatch(self.seed):
            raise InvalidRecordError("The seed of a rollout is not 32 hexadecimal digits")
        if not 1 <= len(self.steps) <= MAX_STEPS:
            raise InvalidRecordError(f"A rollout has 1 to {MAX_STEPS} steps")
        if self.steps[0].after != 0:
            raise InvalidRecordError("The first step of a rollout starts with the rollout")
        for earlier, later in itertools.pairwise(self.steps):
            if later.after <= earlier.after:
                raise InvalidRecordError("The steps of a rollout are not in the order of time")
            if later.share < earlier.share or not set(earlier.rings) <= set(later.rings):
                raise InvalidRecordError("A step of a rollout reaches fewer devices than before it")
        if self.reached is not None and not 0 <= self.reached < len(self.steps):
            raise InvalidRecordError(f"A rollout of {len(self.steps)} steps has no {self.reached}")

    @property
    def beginning(self) -> int:
        """When it began, in seconds since 1970, whatever has moved its schedule since."""
        return self.begun or self.started

    def moved_to(self, started: int) -> Rollout:
        """Return the rollout with steps that count from another time."""
        return msgspec.structs.replace(self, started=started, begun=self.beginning)

    def step_at(self, now: int) -> int:
        """Return the number of the step in force; -1 before the start."""
        if self.reached is not None:
            return self.reached if now >= self.started else -1
        return sum(1 for step in self.steps if self.started + step.after <= now) - 1

    def share_at(self, now: int) -> int:
        """Return the share of devices that have had their turn, without rings, in millionths."""
        number = self.step_at(now)
        return self.steps[number].share if number >= 0 else 0

    def is_under_way(self, now: int) -> bool:
        """Return whether some devices have not had their turn yet."""
        return self.share_at(now) < ALL

    @property
    def end(self) -> int:
        """When all devices have had their turn, in seconds since 1970.

        The last possible moment if that waits for a person or never happens.
        """
        for time, step in self._known_steps():
            if step.share == ALL:
                return time
        return LAST_MOMENT

    def turn(self, position: int, ring: str = "") -> int | None:
        """Return when the turn of a device comes or came, in seconds since 1970.

        Returns:
            The time of the step, as far as it is known; None if no step reaches the device, or
            only one that a person has not released yet.
        """
        for time, step in self._known_steps():
            if step.reaches(position, ring):
                return time
        return None

    def _known_steps(self) -> Iterator[tuple[int, Step]]:
        """Return the steps whose time is known, each with it."""
        if self.reached is None:
            for step in self.steps:
                yield self.started + step.after, step
        else:
            for step in self.steps[: self.reached + 1]:
                yield self.started, step


def position(secret: bytes, product: str, baseline: BaselineName, seed: str) -> int:
    """Return the position of a device for one letter, from 0 to 2**64 - 1.

    It is the first 64 bits, most significant first, of an HMAC-SHA-256 (RFC 2104) over the product,
    the baseline and the seed.

    Args:
        secret: The device's secret, which never leaves it.
        product: The product.
        baseline: The baseline of the device.
        seed: The seed of the rollout.
    """
    import hashlib  # loads the cryptographic library, which most commands do not need
    import hmac

    text = "\0".join((product, baseline.platform, baseline.version, baseline.build, seed))
    digest = hmac.digest(secret, b"repoint rollout 1\0" + text.encode(), hashlib.sha256)
    return int.from_bytes(digest[:8], "big")
