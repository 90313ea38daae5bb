"""English descriptions of a plan: when it installs, when it is in force, and what restarts."""

from __future__ import annotations

import time
from collections.abc import Sequence

from repoint.agent.overview.overview import Overview
from repoint.agent.plan import Reason, Step
from repoint.device.status.affected import Affected
from repoint.device.status.fixes import NO_CVE
from repoint.model.baseline import About

_NOW = "you can install it now"

_INSTALL: dict[Reason, str] = {
    "now": "installs automatically within a few hours",
    "failed": "not installed automatically: it failed here",
    "removed": "not installed automatically: it was removed here",
    "reopens": "not installed automatically: it does not contain fixes that are in force here",
    "off": "not installed automatically: Automatically Install is off",
    "unattended": "not installed automatically: background updates do not run here "
    "(`repoint agent install`)",
    "space": "installs automatically when there is enough free space",
    "retry": "installs automatically, next attempt from {when}",
    "rollout": "installs automatically when the turn of this device comes, about {when}; " + _NOW,
    "deferred": "installs automatically from {when}",
    "window": "installs automatically in the maintenance window from {when}",
    "battery": "installs automatically when the battery is charging",
    "metered": "installs automatically when the connection is not metered",
    "deadline": "installs automatically from {when} at the latest",
}

_ACTIVATE: dict[Reason, str] = {
    "now": "automatically within a few hours",
    "program": "the next time {subject}",
    "service": "the next time this machine starts",
    "session": "at the next login",
    "system": "the next time this machine starts",
    "window": "automatically in the maintenance window from {when}",
    "deadline": "automatically from {when}, when the deadline has passed",
}

MACHINE = "this machine"


def format_time(when: int | None) -> str:
    """Format a time for people, in their time zone; empty for None."""
    return "" if when is None else time.strftime("%A, %Y-%m-%d %H:%M", time.localtime(when))


def describe_install(step: Step) -> str:
    """Describe when what is available is installed."""
    if step.reason == "rollout" and step.when is None:
        return "installs automatically when the vendor releases it to more devices; " + _NOW
    return _INSTALL[step.reason].format(when=format_time(step.when)) + _policy(step)


def describe_activation(overview: Overview) -> str:
    """Describe when what is staged comes into force, to complete "comes into force …"."""
    step, affected = overview.plan.activate, overview.affected_now
    if step is None:
        return "later"
    if _waits_for_a_person(overview):
        return f"with {overview.command('restart')}: background updates do not run here"
    names = list(dict.fromkeys(item.name for item in affected if item.name))
    if step.reason == "now" and names:
        keeps, starts = ("keeps", "it starts") if len(names) == 1 else ("keep", "they start")
        return f"within a few hours; {_join(names)} {keeps} the old version until {starts} again"
    subject = (
        f"{_join(names)} start{'s' if len(names) == 1 else ''}" if names else "the program starts"
    )
    return _ACTIVATE[step.reason].format(when=format_time(step.when), subject=subject) + _policy(
        step
    )


def describe_activation_or_restart(overview: Overview) -> str:
    """Describe it with the command that does it at once."""
    when = describe_activation(overview)
    return (
        when if _waits_for_a_person(overview) else f"{when}, or with {overview.command('restart')}"
    )


def describe_restart(affected: Sequence[Affected], step: Step | None = None) -> str:
    """Name what must restart: programs and services by name, the session or the machine.

    Args:
        affected: What must restart.
        step: When it happens. An automatic restart restarts the machine instead of a session.
    """
    scopes = {item.scope for item in affected}
    automatic = step is not None and step.reason in ("window", "deadline")
    if "system" in scopes or (automatic and "session" in scopes):
        return MACHINE
    if "session" in scopes:
        return "the session of everyone who is logged in"
    return _join(_program_names(affected)) or "nothing that is running now"


def describe_deadline(overview: Overview) -> str:
    """Describe the deadline; empty if there is none or the plan's steps already state it."""
    steps = (overview.plan.install, overview.plan.activate)
    if overview.plan.deadline is None or any(s and s.reason == "deadline" for s in steps):
        return ""
    return f"at the latest {format_time(overview.plan.deadline)}"


def name_fixes(cves: Sequence[str], most: int = 0) -> str:
    """Name CVEs in a sentence, each once.

    Args:
        cves: Their ids, or `NO_CVE`.
        most: Name at most this many, and count the others; 0 for all.
    """
    names = ["a fault without a CVE id" if cve == NO_CVE else cve for cve in dict.fromkeys(cves)]
    if most and len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    return _join(names)


def name_component(about: About, component: str) -> str:
    """Name a component as the vendor names it for people, with the name that commands take.

    Args:
        about: What the vendor says about the product.
        component: The component; several are separated by commas.
    """
    return ", ".join(
        one if (named := about.component(one)) == one else f"{named} ({one})"
        for one in component.split(", ")
    )


def _program_names(affected: Sequence[Affected]) -> list[str]:
    """Name each program and service once, whatever number of components it uses."""
    programs: dict[str, set[int]] = {}
    for item in affected:
        if item.unit:
            programs.setdefault(item.unit, set())
        elif item.pids:
            programs.setdefault(item.name, set()).update(item.pids)
    return [
        f"{name} ({', '.join(map(str, sorted(pids)))})" if pids else name
        for name, pids in programs.items()
    ]


def _waits_for_a_person(overview: Overview) -> bool:
    """Return whether nothing activates it at the next start of what must restart."""
    step = overview.plan.activate
    waits = step is not None and step.reason in ("service", "session", "system")
    return waits and not overview.attended


def _join(names: Sequence[str]) -> str:
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _policy(step: Step) -> str:
    return f" ({step.policy})" if step.policy else ""
