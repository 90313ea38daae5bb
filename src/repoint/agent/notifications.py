"""Notifications on the desktop and the message of the day.

A notification is derived from the overview alone, so it never contradicts ``repoint status``. Each
state of an improvement is notified once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Literal

import msgspec

from repoint.agent.overview.descriptions import (
    describe_activation,
    describe_deadline,
    describe_install,
    describe_restart,
)
from repoint.agent.overview.headline import headline
from repoint.agent.overview.overview import Overview
from repoint.agent.plan import Step
from repoint.device.status.affected import Affected
from repoint.device.status.fixes import NO_CVE, CveStatus
from repoint.device.store.files import read_note
from repoint.fs.durable import write_durably
from repoint.host.dbus import BusError, BusObject, session_bus
from repoint.model.printable import one_line
from repoint.model.version import has_letter

NotificationState = Literal["available", "staged", "in force"]

_ANNOUNCED = ("open", "restart", "exposed")
"""Verdicts that the notification about an improvement says already."""

_LOW, _NORMAL, _CRITICAL = 0, 1, 2
"""Urgency levels of the Desktop Notifications Specification."""


class Notification(msgspec.Struct, frozen=True):
    """The state of an improvement, as a notification.

    Attributes:
        state: The state of the improvement.
        label: Its label.
        title: One line.
        lines: What it fixes, when it happens, what restarts.
        urgent: Whether the fixes are known to be exploited.
    """

    state: NotificationState
    label: str
    title: str
    lines: tuple[str, ...]
    urgent: bool = False


class ShownNotification(msgspec.Struct, frozen=True):
    """The last notification about a product that a person's desktop showed, and its number."""

    state: NotificationState
    label: str
    number: int = 0


def notification_for(overview: Overview) -> Notification | None:
    """Return the notification for an overview; None if no improvement is known."""
    status, plan = overview.status, overview.plan
    product = overview.display_name
    offer = status.available
    if offer is not None and plan.install is not None:
        lines = [offer.title, _fixes(overview.fixed_by_offer),
                 _sentence(describe_install(plan.install)),
                 _restarts(overview.affected_by_offer), _deadline(overview)]  # fmt: skip
        verb = "was rolled back" if plan.install.reason == "failed" else "is available"
        title = f"A security improvement for {product} {verb}: {offer.label}"
        urgent = offer.urgency == "exploited"
        return Notification("available", offer.label, title, tuple(filter(None, lines)), urgent)
    label = overview.pending_label
    if plan.activate is not None and has_letter(label):
        when = describe_activation(overview)
        lines = [_fixes(overview.fixes("waiting for restart")), f"Comes into force {when}.",
                 _restarts(overview.affected_now, plan.activate), _deadline(overview)]  # fmt: skip
        title = f"A security improvement for {product} is waiting for a restart: {label}"
        return Notification("staged", label, title, tuple(filter(None, lines)))
    if has_letter(status.in_force) and status.protected:
        title = f"{product} is protected: {status.in_force} is in force"
        lines = [_fixes(overview.fixes("in force"))]
        return Notification("in force", status.in_force, title, tuple(filter(None, lines)))
    return None


def notify_desktop(overview: Overview, record: Path) -> bool:
    """Show a notification on this person's desktop, unless it was shown before.

    Args:
        overview: The product.
        record: The file that records what the person was shown; see `notification_record`.

    Returns:
        Whether a notification was shown.
    """
    notification = notification_for(overview)
    last = read_note(record, ShownNotification)
    if notification is None:
        return False
    shown = (notification.state, notification.label)
    if last is not None and (last.state, last.label) == shown:
        return False
    if notification.state == "in force" and last is None:
        return False  # the device was protected before the first notification
    level = _LOW if notification.state == "in force" else _NORMAL
    hints = {"urgency": ("y", _CRITICAL if notification.urgent else level),
             "desktop-entry": ("s", "repoint")}  # fmt: skip
    # The specification allows markup in the body; text from a repository must not contain any.
    body = escape("\n".join(map(one_line, notification.lines)), quote=False)
    try:
        (number,) = session_bus().call(
            BusObject("org.freedesktop.Notifications", "/org/freedesktop/Notifications",
                      "org.freedesktop.Notifications"), "Notify", "susssasa{sv}i",
            ("Repoint", last.number if last is not None else 0, "security-high",
             one_line(notification.title), body, [], hints, -1),
        )  # fmt: skip
    except BusError:
        return False
    record.parent.mkdir(parents=True, exist_ok=True)
    write_durably(record, msgspec.json.encode(ShownNotification(*shown, int(number))))
    return True


def notification_record(store: Path, product: str) -> Path:
    """Return the file that records what this person was shown about a product."""
    state_home = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    name = f"{store.resolve()}/{product}".strip("/").replace("/", "-")
    return Path(state_home).expanduser() / "repoint" / f"told-{name}.json"


def message_of_the_day(overview: Overview) -> list[str]:
    """Return lines for people who log in to a server; empty if it is protected."""
    notification = notification_for(overview)
    lines: list[str] = []
    if notification is not None and notification.state != "in force":
        lines = [f"{notification.title}.", *(f"  {line}" for line in notification.lines)]
    if not overview.status.protected and (not lines or overview.verdict not in _ANNOUNCED):
        lines.insert(0, f"{overview.display_name}: {headline(overview)}")
    if overview.effective_settings.policy_problem:
        problem = overview.effective_settings.policy_problem
        lines.append(f"Repoint's current policy files are not in force: {problem}")
    last = overview.status.last_check
    if last is not None and last.error:
        lines.append(
            f"Repoint could not check for improvements of {overview.display_name}: {last.error}"
        )
    return lines


def _fixes(cves: Sequence[CveStatus]) -> str:
    if not cves:
        return ""
    first = cves[0]
    name = "" if first.cve == NO_CVE else f" ({first.cve})"
    more = f", and {len(cves) - 1} more" if len(cves) > 1 else ""
    return f"Fixes: {first.impact}{name}{more}."


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _restarts(affected: tuple[Affected, ...], step: Step | None = None) -> str:
    return f"Has to restart: {describe_restart(affected, step)}."


def _deadline(overview: Overview) -> str:
    deadline = describe_deadline(overview)
    return f"Enforced {deadline}." if deadline else ""
