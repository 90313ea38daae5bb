"""The headline: the answer to "am I protected?" in one English sentence."""

from __future__ import annotations

import os
from collections.abc import Iterable

from repoint.agent.overview.descriptions import format_time, name_component, name_fixes
from repoint.agent.overview.overview import Overview
from repoint.device.status.status import Status


def headline(overview: Overview) -> str:
    """Answer "am I protected?" in one sentence, with what to do if it is not so."""
    status, verdict = overview.status, overview.verdict

    def named(components: Iterable[str]) -> str:
        return ", ".join(name_component(overview.about, each) for each in components)

    pending = [cve.cve for cve in status.cves if cve.state == "waiting for restart"]
    if verdict == "unchecked" and status.checked:
        return "Unknown: what the vendor offers could not be read. Run `repoint check`."
    if verdict == "unchecked":
        return "Unknown: the repository was never checked. Run `repoint check`."
    if verdict == "damaged":
        layers = named(graft.component for graft in status.grafts if graft.layer == "damaged")
        if layers:
            return f"Not protected: the layer over {layers} is damaged. Run `repoint check`."
        changed = named(graft.component for graft in status.grafts if graft.damaged)
        return f"Not protected: {changed} was changed in place. Run `repoint check`."
    if verdict == "replaced":
        replaced = named(graft.component for graft in status.grafts if not graft.in_place)
        note = status.last_check.note if status.last_check is not None else ""
        # A check that has looked at it already knows better what to do.
        return f"Unknown: {replaced} was replaced from outside. {note or 'Run `repoint check`'}."
    if verdict == "open":
        cves = [cve.cve for cve in status.cves if cve.state == "not fixed"]
        return f"Not protected: {_cves(cves)} not fixed here."
    if verdict == "stale":
        return f"Not known: {_last_success(status)}, too long ago. Run `repoint check`."
    if verdict == "unknown":
        return f"Not known: {_unknown(status)}."
    if verdict != "protected" and pending:
        return f"Not yet protected: {_cves(pending)} fixed, but not in force before a restart."
    if verdict == "restart" and overview.removal_staged:
        return f"{status.in_force} is in force until a restart finishes its removal."
    if verdict in ("restart", "exposed"):
        return "Not yet protected: what is installed is not in force before a restart."
    return "Protected: everything the vendor has fixed is in force."


def _unknown(status: Status) -> str:
    if status.hidden:
        return "running processes cannot be seen here"
    if status.unknown:
        names = [f"{process.name} ({process.pid})" for process in status.unknown]
        shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
        return f"{shown} may run replaced code. Restart what is listed as unknown"
    advice = "Run it as root" if os.geteuid() else "Their accounts keep too much open to look at"
    return f"{_processes(status.unreadable)} could not be examined. {advice}"


def _last_success(status: Status) -> str:
    last = status.last_check
    if last is None or not last.success:
        return "no check has succeeded"
    return f"the last successful check was on {format_time(last.success)}"


def _cves(cves: list[str]) -> str:
    return f"{name_fixes(cves, most=3)} {'is' if len(set(cves)) == 1 else 'are'}"


def _processes(number: int) -> str:
    return "1 process" if number == 1 else f"{number} processes"
