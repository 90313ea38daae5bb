"""After a round: the journal, and the news that desktops are told of."""

from __future__ import annotations

from pathlib import Path

import msgspec

from repoint.agent import wording
from repoint.agent.notifications import Notification, notification_for
from repoint.agent.overview import Overview
from repoint.agent.units.unit_files import NEWS
from repoint.agent.update_run import UpdateRun
from repoint.device.os_errors import explained
from repoint.device.status.status import NO_CVE
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.host import journal


def tell(made: UpdateRun, store: Path, *, to: Path = journal.SOCKET) -> list[str]:
    """Tell what a round did, and what it found that was not told before.

    Args:
        made: The round.
        store: The store.
        to: The journal's socket.

    Returns:
        The sentences, for whoever looks on.
    """
    said: list[str] = []

    def log(event: journal.Event, message: str, label: str, *more: tuple[str, str]) -> None:
        said.append(message)
        level = journal.WARNING if event in ("failed", "policy") else journal.NOTICE
        fields = [("PRODUCT", made.product), ("LABEL", label), *more]
        journal.log(event, f"{made.product}: {message}", level, fields, to)

    outlook = made.outlook
    notice = notification_for(outlook) if outlook is not None and not made.handed_over else None
    # Where somebody else activates, that one knows what is to come, and tells.
    if made.installed and not made.handed_over:
        log("staged", _staged(made), made.installed, *_facts(outlook, made.installed))
    if made.activated:
        facts = _facts(outlook, made.activated)
        log("activated", f"{made.activated} is in force.", made.activated, *facts)
    if made.announced is not None:
        thing = "This machine restarts" if made.announced.scope == "system" else "The session ended"
        message = f"{thing} at {wording.moment(made.announced.when)}."
        log("announced", message, "", ("WHEN", str(made.announced.when)))
    for error in made.errors:
        log("failed", str(error), "", ("ERROR", type(error).__name__))
    if outlook is not None and outlook.decided.policy_problem:
        log("policy", outlook.decided.policy_problem, "")
    if notice is not None and _is_news(store, made.product, notice):
        if notice.state != "in force" and notice.label not in (made.installed, made.activated):
            message = " ".join((f"{notice.title}.", *map(_sentence, notice.lines)))
            log(notice.state, message, notice.label, *_facts(outlook, notice.label))
        with explained("write down what was told"):
            write_durably(store / NEWS, f"{made.product}: {notice.title}\n".encode())
    return said


class _News(msgspec.Struct):
    state: str
    label: str


def _is_news(store: Path, product: str, notice: Notification) -> bool:
    place = store / "products" / product / "news.json"
    news = _News(notice.state, notice.label)
    if read_note(place, _News) == news:
        return False
    if not place.parent.is_dir():
        return False  # the product was taken out meanwhile
    with explained("write down what was told"):
        write_durably(place, msgspec.json.encode(news))
    return True


def _staged(made: UpdateRun) -> str:
    outlook = made.outlook
    said = f"{made.installed} is downloaded and prepared."
    if outlook is None or outlook.plan.activate is None or made.activated:
        return said
    when = wording.when_in_force(outlook.plan.activate, outlook.activating)
    return f"{said} It comes into force {when}."


def _sentence(line: str) -> str:
    return line if line.endswith(".") else f"{line}."


def _facts(outlook: Overview | None, label: str) -> list[tuple[str, str]]:
    """Fields that say what it fixes, when it happens and what restarts.

    An improvement fixes what its own advisory says, and what is not in force before it is.
    """
    if outlook is None:
        return []
    facts = [
        ("CVE", cve.cve)
        for cve in outlook.status.cves
        if cve.cve != NO_CVE and (cve.improvement == label or cve.state != "in force")
    ]
    for name, step in (("INSTALL", outlook.plan.install), ("ACTIVATE", outlook.plan.activate)):
        if step is not None:
            facts.append((f"{name}_REASON", step.reason))
            facts.append((f"{name}_WHEN", "" if step.when is None else str(step.when)))
    affected = (*outlook.installing, *outlook.activating)
    facts += [("RESTARTS", thing.unit or thing.name) for thing in affected]
    return facts
