"""What people are told in English: when it installs, when it comes into force, what restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from repoint.agent.overview import Overview
from repoint.agent.plan import Reason, Step
from repoint.device.status.affected import Affected

_INSTALL: dict[Reason, str] = {
    "now": "installs by itself within a few hours",
    "failed": "not installed by itself: it did not work here",
    "removed": "not installed by itself: it was removed here",
    "off": "not installed by itself: Automatically Install is off",
    "unattended": "not installed by itself: no agent runs here (`repoint agent install`)",
    "space": "installs by itself when there is enough free space",
    "retry": "installs by itself, tried again from {when} on",
    "deferred": "installs by itself from {when} on",
    "window": "installs by itself in the maintenance window from {when} on",
    "battery": "installs by itself when the battery is charging",
    "metered": "installs by itself when the connection is not metered",
    "deadline": "installs by itself at the latest from {when} on",
}

_ACTIVATE: dict[Reason, str] = {
    "now": "by itself within a few hours",
    "program": "when {what} the next time",
    "service": "when {what} the next time",
    "session": "when somebody logs in the next time",
    "system": "when this machine starts the next time",
    "window": "by itself in the maintenance window from {when} on",
    "deadline": "by itself from {when} on, when the deadline is over",
}


MACHINE = "this machine"


def moment(when: int | None) -> str:
    """A moment for people, in their time zone."""
    return "" if when is None else time.strftime("%A, %Y-%m-%d %H:%M", time.localtime(when))


def when_installed(step: Step) -> str:
    """When what is available is installed."""
    return _INSTALL[step.reason].format(when=moment(step.when)) + _by(step)


def when_in_force(step: Step, affected: Sequence[Affected]) -> str:
    """When what is staged comes into force."""
    names = list(dict.fromkeys(thing.name for thing in affected if thing.name))
    if step.reason == "now" and names:
        keeps = "keeps" if len(names) == 1 else "keep"
        again = "it starts" if len(names) == 1 else "they start"
        return f"within a few hours; {_listed(names)} {keeps} the old one until {again} again"
    what = f"{_listed(names)} start{'s' if len(names) == 1 else ''}" if names else "it starts"
    return _ACTIVATE[step.reason].format(when=moment(step.when), what=what) + _by(step)


def what_restarts(affected: Sequence[Affected], step: Step | None = None) -> str:
    """What has to restart: programs and services by name, or more than that.

    Args:
        affected: What it is.
        step: When it happens; by itself, the machine restarts in the place of a session.
    """
    scopes = {thing.scope for thing in affected}
    by_itself = step is not None and step.reason in ("window", "deadline")
    if "system" in scopes or (by_itself and "session" in scopes):
        return MACHINE
    if "session" in scopes:
        return "the session of everybody who is logged in"
    return _listed(_names(affected)) or "nothing that runs now"


def deadline(outlook: Overview) -> str:
    """By when the policy enforces it; empty where it does not, or where that was said already."""
    steps = (outlook.plan.install, outlook.plan.activate)
    if outlook.plan.deadline is None or any(s and s.reason == "deadline" for s in steps):
        return ""
    return f"at the latest {moment(outlook.plan.deadline)}"


def _names(affected: Sequence[Affected]) -> list[str]:
    found = []
    for thing in affected:
        if thing.unit:
            found.append(thing.unit)
        elif thing.pids:
            found.append(f"{thing.name} ({', '.join(map(str, thing.pids))})")
    return found


def _listed(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _by(step: Step) -> str:
    return f" ({step.policy})" if step.policy else ""
