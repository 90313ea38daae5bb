"""What people are told without having asked: on their desktop, and at the login of a server.

A notice is made from the outlook alone, so that it never says anything else than ``status``. It is
told once for each improvement and each of its states.
"""

from __future__ import annotations

import os
from html import escape
from pathlib import Path
from typing import Literal

import msgspec

from repoint.agent import wording
from repoint.agent.overview import Overview
from repoint.agent.plan import Step
from repoint.device.status.affected import Affected
from repoint.device.status.status import NO_CVE
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.host.dbus import BusError, call, session_bus
from repoint.model.version import has_letter

State = Literal["available", "staged", "in force"]

_LOW, _NORMAL, _CRITICAL = 0, 1, 2
"""Levels of urgency of the Desktop Notifications Specification."""


class Notification(msgspec.Struct, frozen=True):
    """Something to tell.

    Attributes:
        state: What has become of the improvement.
        label: Which one.
        title: One line.
        lines: What it fixes, when it happens, what restarts.
        urgent: Whether attacks were seen.
    """

    state: State
    label: str
    title: str
    lines: tuple[str, ...]
    urgent: bool = False


class Told(msgspec.Struct, frozen=True):
    """What a person was told last of a product, and the number of the notification."""

    state: State
    label: str
    number: int = 0


def notification_for(outlook: Overview) -> Notification | None:
    """What there is to tell; nothing where no improvement is known."""
    status, plan = outlook.status, outlook.plan
    product = status.product
    offer = status.available
    if offer is not None and plan.install is not None:
        lines = [offer.title, _fixes(outlook, "not fixed"),
                 _sentence(wording.when_installed(plan.install)),
                 _restarts(outlook.installing), _at_the_latest(outlook)]  # fmt: skip
        what = "was taken back" if plan.install.reason == "failed" else "is available"
        title = f"A security improvement for {product} {what}: {offer.label}"
        urgent = offer.urgency == "exploited"
        return Notification("available", offer.label, title, tuple(filter(None, lines)), urgent)
    if plan.activate is not None and has_letter(status.staged or status.in_force):
        label = status.staged or status.in_force
        lines = [_fixes(outlook, "waiting for restart"),
                 f"Comes into force {wording.when_in_force(plan.activate, outlook.activating)}.",
                 _restarts(outlook.activating, plan.activate), _at_the_latest(outlook)]  # fmt: skip
        title = f"A security improvement for {product} waits for a restart: {label}"
        return Notification("staged", label, title, tuple(filter(None, lines)))
    if has_letter(status.in_force) and status.protected:
        title = f"{product} is protected: {status.in_force} is in force"
        lines = [_fixes(outlook, "in force")]
        return Notification("in force", status.in_force, title, tuple(filter(None, lines)))
    return None


def tell_desktop(outlook: Overview, place: Path) -> bool:
    """Show a notification where this person has a desktop, and was not told of it yet.

    Args:
        outlook: How the product stands.
        place: Where is kept what the person was told of the product.

    Returns:
        Whether something was shown.
    """
    notice = notification_for(outlook)
    last = read_note(place, Told)
    if notice is None or (last is not None and (last.state, last.label) == _what(notice)):
        return False
    if notice.state == "in force" and last is None:
        return False  # a device that was protected before anybody was told of anything
    level = _CRITICAL if notice.urgent else _LOW if notice.state == "in force" else _NORMAL
    hints = {"urgency": ("y", level), "desktop-entry": ("s", "repoint")}
    # The specification lets a body hold markup; what comes from a repository must not be any.
    body = escape("\n".join(notice.lines), quote=False)
    try:
        (number,) = call(
            session_bus(), "org.freedesktop.Notifications", "/org/freedesktop/Notifications",
            "org.freedesktop.Notifications", "Notify", "susssasa{sv}i",
            ("Repoint", last.number if last is not None else 0, "security-high", notice.title,
             body, [], hints, -1),
        )  # fmt: skip
    except BusError:
        return False
    place.parent.mkdir(parents=True, exist_ok=True)
    write_durably(place, msgspec.json.encode(Told(notice.state, notice.label, int(number))))
    return True


def told_place(store: Path, product: str) -> Path:
    """Where this person's agent keeps what it told of a product."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    name = f"{store.resolve()}/{product}".strip("/").replace("/", "-")
    return Path(state).expanduser() / "repoint" / f"told-{name}.json"


def message_of_the_day(outlook: Overview) -> list[str]:
    """What somebody who logs in to a server should know; nothing where all is in force."""
    notice = notification_for(outlook)
    lines: list[str] = []
    if notice is not None and notice.state != "in force":
        lines = [f"{notice.title}.", *(f"  {line}" for line in notice.lines)]
    if outlook.decided.policy_problem:
        lines.append(f"Repoint's policy is not in force as it is: {outlook.decided.policy_problem}")
    last = outlook.status.last_check
    if last is not None and last.error:
        lines.append(f"Repoint could not ask for news of {outlook.status.product}: {last.error}")
    return lines


def _fixes(outlook: Overview, state: str) -> str:
    found = [cve for cve in outlook.status.cves if cve.state == state]
    if not found:
        return ""
    first = found[0]
    name = "" if first.cve == NO_CVE else f" ({first.cve})"
    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
    return f"Fixes: {first.impact}{name}{more}."


def _sentence(words: str) -> str:
    return f"{words[0].upper()}{words[1:]}."


def _restarts(affected: tuple[Affected, ...], step: Step | None = None) -> str:
    return f"Has to restart: {wording.what_restarts(affected, step)}."


def _at_the_latest(outlook: Overview) -> str:
    said = wording.deadline(outlook)
    return f"Enforced {said}." if said else ""


def _what(notice: Notification) -> tuple[State, str]:
    return notice.state, notice.label
