"""Reports of an update run: journal events, and the news file that wakes desktop notifications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from repoint.agent.missed_runs import HINDERED
from repoint.agent.notifications import Notification, notification_for
from repoint.agent.overview.descriptions import describe_activation, format_time
from repoint.agent.overview.overview import Overview
from repoint.agent.units.unit_files import NEWS
from repoint.agent.update_run import UpdateRun
from repoint.device.os_errors import explained
from repoint.device.status.fixes import NO_CVE
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.host.systemd import journal


@dataclass(frozen=True)
class ReportedEvent:
    """An event that was written to the journal.

    Attributes:
        event: Its kind.
        message: One line.
    """

    event: journal.Event
    message: str

    @property
    def is_problem(self) -> bool:
        """Whether it needs attention."""
        return self.event in ("failed", "policy")


def report_run(
    run: UpdateRun, store: Path, *, to: Path = journal.SOCKET
) -> tuple[ReportedEvent, ...]:
    """Report what an update run did, and what it found that was not reported before.

    Args:
        run: The update run.
        store: The store.
        to: The journal's socket.

    Returns:
        The events, for whoever watches the run.
    """
    report = _Report(run, to)
    overview = run.overview
    # If another process activates, that process also sends the notification.
    notification = None
    if overview is not None and not run.handed_over:
        notification = notification_for(overview)
    if run.installed and not run.handed_over:
        report.log("staged", _staged(run), run.installed, *_facts(overview, run.installed))
    if run.activated:
        facts = _facts(overview, run.activated)
        report.log("activated", f"{run.activated} is in force.", run.activated, *facts)
    if run.announced is not None:
        machine = run.announced.scope == "system"
        subject = "This machine restarts" if machine else "The session ended"
        message = f"{subject} at {format_time(run.announced.when)}."
        report.log("announced", message, "", ("WHEN", str(run.announced.when)))
    for error in run.errors:
        runs = (("HINDERED", str(run.hindered)),) if run.hindered >= HINDERED else ()
        often = f". {run.hindered} update runs in a row could not work" if runs else ""
        report.log("failed", f"{error}{often}", "", ("ERROR", type(error).__name__), *runs)
    if overview is not None and overview.effective_settings.policy_problem:
        report.log("policy", overview.effective_settings.policy_problem, "")
    if notification is not None and _is_news(store, run.product, notification):
        reported = notification.label in (run.installed, run.activated)
        if notification.state != "in force" and not reported:
            lines = (f"{notification.title}.", *map(_sentence, notification.lines))
            facts = _facts(overview, notification.label)
            report.log(notification.state, " ".join(lines), notification.label, *facts)
        with explained("record what was reported"):
            write_durably(store / NEWS, f"{run.product}: {notification.title}\n".encode())
    return tuple(report.events)


def display_name(run: UpdateRun) -> str:
    """Return the name of a run's product for people, if it could be read."""
    return run.overview.display_name if run.overview is not None else run.product


class _Report:
    def __init__(self, run: UpdateRun, to: Path) -> None:
        self.events: list[ReportedEvent] = []
        self._run = run
        self._to = to

    def log(self, event: journal.Event, message: str, label: str, *facts: tuple[str, str]) -> None:
        reported = ReportedEvent(event, message)
        self.events.append(reported)
        level = journal.WARNING if reported.is_problem else journal.NOTICE
        fields = [("PRODUCT", self._run.product), ("LABEL", label), *facts]
        entry = f"{display_name(self._run)}: {message}"
        journal.Journal(self._to).log(event, entry, level, fields)


class _News(msgspec.Struct):
    state: str
    label: str


def _is_news(store: Path, product: str, notification: Notification) -> bool:
    path = store / "products" / product / "news.json"
    news = _News(notification.state, notification.label)
    if read_note(path, _News) == news:
        return False
    if not path.parent.is_dir():
        return False  # the product was unenrolled meanwhile
    with explained("record what was reported"):
        write_durably(path, msgspec.json.encode(news))
    return True


def _staged(run: UpdateRun) -> str:
    overview = run.overview
    message = f"{run.installed} is downloaded and staged."
    if overview is None or overview.plan.activate is None or run.activated:
        return message
    when = describe_activation(overview)
    return f"{message} It comes into force {when}."


def _sentence(line: str) -> str:
    return line if line.endswith(".") else f"{line}."


def _facts(overview: Overview | None, label: str) -> list[tuple[str, str]]:
    """Return the journal fields that say what a label fixes, when it happens, what restarts.

    An improvement fixes what its own advisory lists, and what is not in force before it is.
    """
    if overview is None:
        return []
    facts = [
        ("CVE", cve.cve)
        for cve in overview.status.cves
        if cve.cve != NO_CVE and (cve.improvement == label or cve.state != "in force")
    ]
    for name, step in (("INSTALL", overview.plan.install), ("ACTIVATE", overview.plan.activate)):
        if step is not None:
            facts.append((f"{name}_REASON", step.reason))
            facts.append((f"{name}_WHEN", "" if step.when is None else str(step.when)))
    affected = (*overview.affected_by_offer, *overview.affected_now)
    facts += [("RESTARTS", item.unit or item.name) for item in affected]
    return facts
