"""When an improvement is installed and activated automatically, as a decision without I/O.

`plan` gets all facts as arguments and returns the installation and the activation, each with its
time and the reason why it does not happen earlier. The Settings page, ``repoint status``,
notifications and the update run all use it, so they announce what will happen.

Rules for the installation, in the order in which they apply:

1. A letter that failed here, that a person removed, or that reopens fixes that are in force here,
   is not installed automatically.
2. From the deadline that the policy sets, only rules 4 and 5 delay the installation. Even turning
   off Automatically Install does not.
3. If Automatically Install is off, the installation waits for a person or for the deadline. If
   background updates do not run, it waits for a person, and no deadline is enforced.
4. It waits for enough free space.
5. After a failure it waits for the next attempt.
6. If it is rolled out in steps, it waits for the turn of this device.
7. The policy may defer it for some days after its publication.
8. It waits for the maintenance window, if the policy sets one.
9. It waits while the battery is low and not charging.
10. It waits while the connection is metered, unless the policy allows metered connections.

An improvement whose fixes are exploited skips rules 7, 8 and 10, unless the policy says otherwise:
``urgent = false``, or for rule 10 ``metered = false``.

Rules for the activation of what is staged, and for programs that run replaced code:

1. If it needs no restart, or only the start of a program, it is activated as soon as no running
   program blocks it.
2. Otherwise it is activated in the maintenance window or at the deadline, whichever comes first,
   but not earlier than `NOTICE` after people were first told.
3. If the policy sets neither, it waits for the next start of what must restart.

No recorded time can delay anything for longer than intended, whatever happens to the device's
clock: see `AgentState.offered_since` and `AgentState.at`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import Literal

import msgspec

from repoint.device.policy.maintenance_window import next_opening
from repoint.device.policy.policy import Key, Policy
from repoint.host.conditions import Conditions
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Urgency

NOTICE = 15 * 60
"""Seconds between the announcement of an automatic restart and the restart."""

LOW_BATTERY = 20
"""Percent below which nothing is installed unless the battery is charging."""

DAY = 86_400

Reason = Literal[
    "now", "failed", "removed", "reopens", "off", "unattended", "space", "retry", "rollout",
    "deferred", "window", "battery", "metered", "deadline", "program", "service", "session",
    "system",
]  # fmt: skip
"""Why a step happens at its time.

``now``: nothing delays it. ``unattended``: background updates do not run. ``failed``, ``removed``,
``reopens``, ``off``, ``space``, ``retry``, ``rollout``, ``deferred``, ``window``, ``battery``,
``metered``: see the rules.
``deadline``: the policy enforces it then. ``program``, ``service``, ``session``, ``system``: it
waits for the next start of that.
"""


class Step(msgspec.Struct, frozen=True):
    """An automatic installation or activation that is to come.

    Attributes:
        when: Seconds since 1970; None if the time cannot be known. If it is not later than now,
            the next update run does it.
        reason: Why it does not happen earlier.
        policy: The policy file that causes it; empty if none does.
    """

    when: int | None
    reason: Reason
    policy: str = ""

    def is_due(self, now: int) -> bool:
        """Return whether its time has come."""
        return self.when is not None and self.when <= now


class Plan(msgspec.Struct, frozen=True):
    """What is to come for a product.

    Attributes:
        install: The installation of what is available; None if nothing is.
        activate: The activation of what is staged, or the restart of programs that run replaced
            code; None if there are neither.
        deadline: When the policy enforces what is available or staged; None for never.
    """

    install: Step | None = None
    activate: Step | None = None
    deadline: int | None = None


class InstallCandidate(msgspec.Struct, frozen=True):
    """An improvement that is offered and not staged.

    Attributes:
        offered_since: When its deferral and its deadline began to run, in seconds since 1970.
        urgency: The urgency that the catalog states.
        needed: Bytes that it needs on the store's file system.
        mark: Why it is not installed automatically; empty if nothing prevents it.
        retry: The earliest next attempt after failures, in seconds since 1970; 0 for at once.
        turn: When the turn of this device comes or came, in seconds since 1970; 0 if all devices
            have theirs, None if the vendor has not released that step yet.
    """

    offered_since: int
    urgency: Urgency
    needed: int
    mark: Literal["", "failed", "removed", "reopens"] = ""
    retry: int = 0
    turn: int | None = 0


class ActivationCandidate(msgspec.Struct, frozen=True):
    """What is staged, or active with programs that still run what it replaced.

    Attributes:
        offered_since: When its deadline began to run; None if it has none, as for a removal.
        scopes: The restart scopes that it needs.
        blocked: Whether running programs must close first.
        staged: Whether something is staged; otherwise programs only run replaced code.
        announced: When people were first told; None if they were not.
    """

    offered_since: int | None
    scopes: Collection[RestartScope]
    blocked: bool
    staged: bool
    announced: int | None


class Situation(msgspec.Struct, frozen=True):
    """What decides when the candidates are installed and activated.

    Attributes:
        policy: The policy in force.
        automatic: Whether Automatically Install is on, by the person's choice or by policy.
        conditions: The device's conditions.
        now: Seconds since 1970.
        attended: Whether background updates run; if not, nothing happens automatically.
        zone: The time zone of the maintenance window; None for the device's own.
    """

    policy: Policy
    automatic: bool
    conditions: Conditions
    now: int
    attended: bool = True
    zone: dt.tzinfo | None = None


def plan(
    installation: InstallCandidate | None,
    activation: ActivationCandidate | None,
    situation: Situation,
) -> Plan:
    """Return what happens automatically, and when."""
    rules = _Rules(situation)
    starts = [
        candidate.offered_since
        for candidate in (installation, activation)
        if candidate is not None and candidate.offered_since is not None
    ]
    return Plan(
        install=rules.install(installation) if installation is not None else None,
        activate=rules.activate(activation) if activation is not None else None,
        deadline=min(filter(None, map(rules.deadline, starts)), default=None),
    )


def needs_program_start_only(scopes: Collection[RestartScope]) -> bool:
    """Return whether nothing, or only a single program, must start again."""
    return set(scopes) <= {"none", "app"}


def widest_scope(scopes: Collection[RestartScope]) -> RestartScope:
    """Return the scope that includes all others."""
    order: tuple[RestartScope, ...] = ("system", "session", "service", "app")
    return next((scope for scope in order if scope in scopes), "none")


class _Rules(msgspec.Struct, frozen=True):
    """The rules at the top of this module."""

    situation: Situation

    def deadline(self, since: int) -> int | None:
        days = self.situation.policy.rules.deadline_days
        return since + days * DAY if days is not None and self.situation.attended else None

    def install(self, candidate: InstallCandidate) -> Step:
        now = self.situation.now
        if candidate.mark:
            return Step(None, candidate.mark)
        deadline = self.deadline(candidate.offered_since)
        enforced = deadline is not None and deadline <= now
        if not self.situation.automatic and not enforced:
            off = Step(None, "off", self.situation.policy.locked_by("automatic"))
            return self._no_later_than(deadline, off)
        if not self.situation.attended:
            return Step(None, "unattended")
        if self.situation.conditions.free < candidate.needed:
            return Step(None, "space")
        if candidate.retry > now:
            return Step(candidate.retry, "retry")
        if enforced:
            return self._step(now, "deadline", "deadline_days")
        return self._no_later_than(deadline, self._convenient(candidate))

    def _convenient(self, candidate: InstallCandidate) -> Step:
        """Apply rules 6 to 10."""
        now, conditions = self.situation.now, self.situation.conditions
        if candidate.turn is None or candidate.turn > now:
            return Step(candidate.turn, "rollout")
        rules = self.situation.policy.rules
        urgent = candidate.urgency == "exploited" and rules.urgent is not False
        if not urgent:
            deferred = candidate.offered_since + (rules.defer_days or 0) * DAY
            opening = self._opening(max(now, deferred))
            if deferred > now:
                return self._step(opening, "deferred", "defer_days")
            if opening > now:
                return self._step(opening, "window", "window")
        if conditions.battery_is_below(LOW_BATTERY):
            return Step(None, "battery")
        allowed = urgent if rules.metered is None else rules.metered
        if conditions.metered and not allowed:
            return self._step(None, "metered", "metered")
        return Step(now, "now")

    def activate(self, candidate: ActivationCandidate) -> Step:
        now = self.situation.now
        if not self.situation.attended:
            return Step(None, _next_start(candidate.scopes))
        starts_only = candidate.staged and needs_program_start_only(candidate.scopes)
        if starts_only and not candidate.blocked:
            return Step(now, "now")
        announced = now if candidate.announced is None else candidate.announced
        earliest = max(now, announced + NOTICE)
        steps = []
        if self.situation.policy.rules.window is not None:
            steps.append(self._step(self._opening(earliest), "window", "window"))
        since = candidate.offered_since
        deadline = self.deadline(since) if since is not None else None
        if deadline is not None:
            steps.append(self._step(max(deadline, earliest), "deadline", "deadline_days"))
        if steps:
            return min(steps, key=lambda step: step.when or 0)
        return Step(None, _next_start(candidate.scopes))

    def _opening(self, when: int) -> int:
        return next_opening(self.situation.policy.rules.windows(), when, self.situation.zone)

    def _no_later_than(self, deadline: int | None, step: Step) -> Step:
        if deadline is None or (step.when is not None and step.when <= deadline):
            return step
        return self._step(deadline, "deadline", "deadline_days")

    def _step(self, when: int | None, reason: Reason, key: Key) -> Step:
        return Step(when, reason, self.situation.policy.locked_by(key))


def _next_start(scopes: Collection[RestartScope]) -> Reason:
    scope = widest_scope(scopes)
    if scope == "none" or scope == "app":
        return "program"
    return scope
