"""When an improvement is installed and comes into force by itself, as a decision without I/O.

`plan` is told what is known and says what follows: for the installation and for the activation, at
which moment, and why not earlier. The page, `status`, the notification and the round itself all
ask it, so that what people are told is what will happen.

Rules for the installation, in the order in which they are met:

1. A letter that failed here, or that a person removed, is not installed by itself.
2. From its deadline on, if the policy sets one, nothing of what follows but rules 4 and 5 holds it
   back, not even that Automatically Install is off.
3. Where Automatically Install is off, it waits for the person, or for the deadline. So it does
   where nothing makes rounds, and then no deadline is kept.
4. It waits for enough free space.
5. After a failure it waits for the next try.
6. The policy may defer it for some days after its publication.
7. It waits for the maintenance window, if the policy sets one.
8. It waits while the battery is low and not charging.
9. It waits while the connection is metered, unless the policy allows that.

An improvement against attacks that were seen passes over rules 6, 7 and 9, unless the policy says
otherwise: ``urgent = false``, or for rule 9 ``metered = false``.

Rules for the activation of what is staged, or where programs run replaced code:

1. What needs no restart, or the start of a program only, is activated as soon as no program stands
   in the way.
2. Else it is brought into force in the maintenance window or at the deadline, whichever comes
   first, but not sooner than `NOTICE` after people were first told.
3. Where the policy sets neither, it waits for the next start of what has to restart.

No moment that was written down can hold anything back for longer than it was meant to, whatever
happens to the device's clock: see `started` and `Memory` in `memory`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

import msgspec

from repoint.device.policy.maintenance_window import next_opening
from repoint.device.policy.policy import Key, Policy
from repoint.host.conditions import Conditions
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Urgency

NOTICE = 15 * 60
"""Seconds between telling people that something will restart by itself and doing so."""

LOW_BATTERY = 20
"""Percent below which nothing is installed unless the battery is charging."""

DAY = 86_400

Reason = Literal[
    "now", "failed", "removed", "off", "unattended", "space", "retry", "deferred", "window",
    "battery", "metered", "deadline", "program", "service", "session", "system",
]  # fmt: skip
"""Why something happens when it does.

``now``: nothing holds it back. ``unattended``: nothing makes rounds here. ``failed``,
``removed``, ``off``, ``space``, ``retry``, ``deferred``, ``window``, ``battery``, ``metered``: see
the rules. ``deadline``: it is enforced then. ``program``, ``service``, ``session``, ``system``: it
waits for the next start of that.
"""


class Step(msgspec.Struct, frozen=True):
    """One step that is to come.

    Attributes:
        when: Seconds since 1970, or nothing where nobody can say. ``now`` where it is due: the
            agent's next round does it.
        reason: Why then, or why not yet.
        policy: The policy file that is the cause; empty where none is.
    """

    when: int | None
    reason: Reason
    policy: str = ""

    def is_due(self, now: int) -> bool:
        """Whether it is to be done now."""
        return self.when is not None and self.when <= now


class Plan(msgspec.Struct, frozen=True):
    """What is to come for a product.

    Attributes:
        install: When what is available is installed; nothing where nothing is available.
        activate: When what is staged comes into force, or when the programs that run replaced
            code restart; nothing where neither is so.
        deadline: When the policy enforces what is available or waiting; nothing for never.
    """

    install: Step | None = None
    activate: Step | None = None
    deadline: int | None = None


@dataclass(frozen=True)
class Waiting:
    """An improvement that is offered and not staged.

    Attributes:
        started: When its deferral and its deadline began to run, in seconds since 1970.
        needed: Bytes that it needs on the store's file system.
        retry: Not before this moment, after failures; 0 for at once.
    """

    started: int
    urgency: Urgency
    needed: int
    mark: Literal["", "failed", "removed"] = ""
    retry: int = 0


@dataclass(frozen=True)
class Ready:
    """What is staged, or in force with programs that still run what it replaced.

    Attributes:
        started: When its deadline began to run; nothing where it has none, as for a removal.
        scopes: What has to restart.
        in_the_way: Whether programs run that have to close first.
        staged: Whether something is staged, or programs only run replaced code.
        told: When people were first told; nothing where they were not yet.
    """

    started: int | None
    scopes: Collection[RestartScope]
    in_the_way: bool
    staged: bool
    told: int | None


def plan(
    waiting: Waiting | None,
    ready: Ready | None,
    *,
    automatic: bool,
    policy: Policy,
    conditions: Conditions,
    now: int,
    attended: bool = True,
    zone: dt.tzinfo | None = None,
) -> Plan:
    """Say what is to come.

    Args:
        waiting: What could be installed.
        ready: What could be brought into force.
        automatic: Whether Automatically Install is on, by the person or by policy.
        policy: The policy in force.
        conditions: The device's condition.
        now: Seconds since 1970.
        attended: Whether anything makes rounds; else nothing happens by itself.
        zone: The time zone of the maintenance window; the device's own where none is given.
    """
    rules = _Ruling(policy, automatic, conditions, now, attended, zone)
    begins = [thing.started for thing in (waiting, ready) if thing and thing.started is not None]
    return Plan(
        install=rules.installation(waiting) if waiting is not None else None,
        activate=rules.activation(ready) if ready is not None else None,
        deadline=min(filter(None, map(rules.deadline, begins)), default=None),
    )


def needs_a_start_only(scopes: Collection[RestartScope]) -> bool:
    """Whether it comes into force when nothing, or a single program, starts."""
    return set(scopes) <= {"none", "app"}


@dataclass(frozen=True)
class _Ruling:
    policy: Policy
    automatic: bool
    conditions: Conditions
    now: int
    attended: bool
    zone: dt.tzinfo | None

    def deadline(self, started: int) -> int | None:
        days = self.policy.rules.deadline_days
        return started + days * DAY if days is not None and self.attended else None

    def opening(self, when: int) -> int:
        return next_opening(self.policy.rules.windows(), when, self.zone)

    def installation(self, waiting: Waiting) -> Step:
        if waiting.mark:
            return Step(None, waiting.mark)
        deadline = self.deadline(waiting.started)
        enforced = deadline is not None and deadline <= self.now
        if not self.automatic and not enforced:
            off = Step(None, "off", self.policy.locked_by("automatic"))
            return self._at_the_latest(off, deadline)
        if not self.attended:
            return Step(None, "unattended")
        if self.conditions.free < waiting.needed:
            return Step(None, "space")
        if waiting.retry > self.now:
            return Step(waiting.retry, "retry")
        if enforced:
            return self._step(self.now, "deadline", "deadline_days")
        return self._at_the_latest(self._convenient(waiting), deadline)

    def _convenient(self, waiting: Waiting) -> Step:
        """When it suits everybody: rules 6 to 9."""
        rules = self.policy.rules
        urgent = waiting.urgency == "exploited" and rules.urgent is not False
        if not urgent:
            deferred = waiting.started + (rules.defer_days or 0) * DAY
            opening = self.opening(max(self.now, deferred))
            if deferred > self.now:
                return self._step(opening, "deferred", "defer_days")
            if opening > self.now:
                return self._step(opening, "window", "window")
        if self.conditions.battery_is_below(LOW_BATTERY):
            return Step(None, "battery")
        allowed = urgent if rules.metered is None else rules.metered
        if self.conditions.metered and not allowed:
            return self._step(None, "metered", "metered")
        return Step(self.now, "now")

    def activation(self, ready: Ready) -> Step:
        if not self.attended:
            return Step(None, _next_start(ready.scopes))
        if ready.staged and needs_a_start_only(ready.scopes) and not ready.in_the_way:
            return Step(self.now, "now")
        told = self.now if ready.told is None else ready.told
        earliest = max(self.now, told + NOTICE)
        steps = []
        if self.policy.rules.window is not None:
            steps.append(self._step(self.opening(earliest), "window", "window"))
        deadline = self.deadline(ready.started) if ready.started is not None else None
        if deadline is not None:
            steps.append(self._step(max(deadline, earliest), "deadline", "deadline_days"))
        if steps:
            return min(steps, key=lambda step: step.when or 0)
        return Step(None, _next_start(ready.scopes))

    def _at_the_latest(self, step: Step, deadline: int | None) -> Step:
        if deadline is None or (step.when is not None and step.when <= deadline):
            return step
        return self._step(deadline, "deadline", "deadline_days")

    def _step(self, when: int | None, reason: Reason, key: Key) -> Step:
        return Step(when, reason, self.policy.locked_by(key))


def widest(scopes: Collection[RestartScope]) -> RestartScope:
    """The scope that holds all others."""
    order: tuple[RestartScope, ...] = ("system", "session", "service", "app")
    return next((scope for scope in order if scope in scopes), "none")


def _next_start(scopes: Collection[RestartScope]) -> Reason:
    scope = widest(scopes)
    if scope == "none" or scope == "app":
        return "program"
    return scope
