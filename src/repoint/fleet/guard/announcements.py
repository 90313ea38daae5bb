"""What the guard reports to people, and how often, without I/O."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.fleet.guard.decision import Decision
from repoint.model.errors import RepointError

Event = Literal["halted", "decide", "trouble", "recovered"]
"""``halted``: a letter was halted. ``decide``: a person has to. ``trouble``: the guard cannot do
its work, and tries again. ``recovered``: it does it again."""

REPEAT = 6 * 3600
"""Seconds after which something that still holds is reported again."""

_MOST_WAITING = 1000
_CAUSES = 5
"""Causes of one trouble that are reported. Some servers give another text at each attempt."""


class Announcement(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message to people.

    Attributes:
        text: One line.
        hint: What to do next, in one line.
        time: When it was made, in seconds since 1970.
        bad: Devices that failed or are silent.
        devices: Devices that were counted.
    """

    event: Event
    text: str
    hint: str
    time: int
    product: str = ""
    label: str = ""
    platform: str = ""
    build: str = ""
    bad: int = 0
    devices: int = 0

    @property
    def subject(self) -> tuple[str, ...]:
        """What it is about: a message about the same thing is not reported twice in a row."""
        what = self.text if self.event == "trouble" else ""
        return (self.event, self.product, self.label, self.platform, self.build, what)


class Announcements:
    """Which messages are due on one way to people.

    New ones are due at once, and what still holds every `REPEAT` seconds. What happened once stays
    due until it is delivered. Whoever was told of a trouble is told that it is over.
    """

    def __init__(self) -> None:
        self._delivered: dict[tuple[str, ...], int] = {}
        self._waiting: list[Announcement] = []

    def due(self, messages: list[Announcement], now: int) -> list[Announcement]:
        """Return the messages that are due, given what holds now; forget what no longer holds.

        Args:
            messages: What holds, and what has happened.
            now: Seconds since 1970.
        """
        subjects = {message.subject for message in messages}
        troubled = {message.product for message in messages if message.event == "trouble"}
        over = {product for event, product, *_ in self._delivered if event == "trouble"} - troubled
        if "" in troubled:
            over.clear()  # the repository cannot be read, so nobody knows about its products
        self._delivered = {
            subject: when
            for subject, when in self._delivered.items()
            if subject in subjects or (subject[0] == "trouble" and subject[1] not in over)
        }
        self._waiting = [
            each
            for each in self._waiting
            if each.event != "recovered" or each.product not in troubled
        ]
        self._waiting += [message for message in messages if message.event == "halted"]
        self._waiting += [_recovered(product, now) for product in sorted(over)]
        del self._waiting[:-_MOST_WAITING]
        lasting = [message for message in messages if message.event != "halted"]
        return [*self._waiting, *(message for message in lasting if self._is_due(message))]

    def delivered(self, message: Announcement) -> None:
        """Note that a message was delivered."""
        if message.event in ("halted", "recovered"):
            self._waiting.remove(message)
        else:
            self._delivered[message.subject] = message.time

    def _is_due(self, message: Announcement) -> bool:
        delivered = self._delivered.get(message.subject)
        if delivered is None:
            return message.event != "trouble" or self._causes(message.product) < _CAUSES
        # A clock that was set back must not silence the guard.
        return not 0 <= message.time - delivered < REPEAT

    def _causes(self, product: str) -> int:
        return sum(
            1 for event, about, *_ in self._delivered if (event, about) == ("trouble", product)
        )


def about(decision: Decision, product: str, event: Event, now: int) -> Announcement:
    """Return the message about a decision that was carried out or waits for a person."""
    offer = decision.offer
    worst = max(decision.findings, key=lambda finding: finding.progress)
    command = f'"{offer.label}" --platform {offer.baseline.platform}'
    if event == "halted":
        text = f"Halted {product} {offer.label} for {offer.baseline}: {decision.reason}"
        hint = (
            "Devices that have it keep it. Publish the next letter, or go on with "
            f"`repoint rollout resume {product} {command}`"
        )
    else:
        text = f"{product} {offer.label} for {offer.baseline} goes wrong: {decision.reason}"
        hint = (
            "Attacks on what it fixes were seen, so it goes on until you stop it with "
            f"`repoint rollout halt {product} {command} --reason …`"
        )
    return Announcement(
        event,
        text,
        hint,
        now,
        product,
        offer.label,
        offer.baseline.platform,
        offer.baseline.build,
        worst.bad,
        worst.devices,
    )


def _recovered(product: str, now: int) -> Announcement:
    text = f"{product} is guarded again" if product else "The repository can be read again"
    return Announcement("recovered", text, "", now, product)


def not_halted(decision: Decision, product: str, error: RepointError, now: int) -> Announcement:
    """Return the message about a halt that could not be published."""
    message = about(decision, product, "decide", now)
    text = f"{message.text}. It could not be halted: {error.message}"
    hint = error.hint or "The guard tries again"
    return msgspec.structs.replace(message, event="trouble", text=text, hint=hint)
