"""What the agent keeps between update runs. Everything else it reads from the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from repoint import __version__
from repoint.device.store.files import RecordFolder, read_note
from repoint.device.store.product_state import ProductState
from repoint.model.catalog import Offer

if TYPE_CHECKING:
    import random

FIRST_RETRY = 15 * 60
"""Mean delay in seconds before the first retry; it doubles with each further failure."""
LONGEST_RETRY = 24 * 3600
"""The longest delay before a retry, in seconds."""

ATTENDED = 2 * 86_400
"""Seconds after an update run within which another is expected; the timer fires once an hour."""

_FILE = "agent.json"


CHECK_EVERY = 4 * 3600
"""Seconds between two checks of the repository, if a timer starts the update runs."""


class AgentState(
    msgspec.Struct,
    frozen=True,
    rename={"last_run": "round", "first_seen": "seen", "announced": "told"},
):
    """The agent's state for one product. All times are in seconds since 1970.

    Attributes:
        last_run: When the last update run took place; 0 for never.
        first_seen: When this device first saw each letter that is offered.
        announced: When people were first told about an automatic restart, by the announcement.
        failures: Consecutive failures to reach the repository or to install.
        retry: The earliest next attempt; 0 for at once.
        hindered: How many runs in a row could not work: lock, network or policy stood in the way.
        hindrance: Why the last of them could not.
        unfit: Letters that do not fit this device, each with the version of Repoint that rejected
            it. The signed documents never change, but another version may be able to read them.
    """

    last_run: int = 0
    first_seen: dict[str, int] = {}
    announced: dict[str, int] = {}
    failures: int = 0
    retry: int = 0
    unfit: dict[str, str] = {}
    hindered: int = 0
    hindrance: str = ""

    def at(self, now: int) -> AgentState:
        """Return the state without impossible times: the clock may have been set back."""
        return msgspec.structs.replace(
            self,
            last_run=min(self.last_run, now),
            first_seen={letter: min(when, now) for letter, when in self.first_seen.items()},
            announced={key: min(when, now) for key, when in self.announced.items()},
            retry=min(self.retry, now + LONGEST_RETRY),
        )

    def is_attended(self, now: int) -> bool:
        """Return whether background updates run on this device."""
        return self.last_run > now - ATTENDED

    def with_offered(self, letters: list[str], now: int) -> AgentState:
        """Record the letters that are offered now, and forget all others."""
        first_seen = {letter: self.first_seen.get(letter, now) for letter in letters}
        unfit = {letter: version for letter, version in self.unfit.items() if letter in letters}
        return msgspec.structs.replace(self, first_seen=first_seen, unfit=unfit)

    def with_announced(self, announcement: str, now: int) -> AgentState:
        """Record that people were told about a restart, and forget earlier announcements."""
        announced = {announcement: self.announced.get(announcement, now)}
        return msgspec.structs.replace(self, announced=announced)

    def with_failure(self, now: int, rng: random.Random, after: int = 0) -> AgentState:
        """Record a failure: the mean delay doubles, with a jitter of half of it either way.

        The jitter spreads the return of a fleet after an outage.

        Args:
            now: Seconds since 1970.
            rng: The source of jitter.
            after: The shortest delay in seconds, which the server asks for.
        """
        delay = max(FIRST_RETRY * 2 ** min(self.failures, 16) * rng.uniform(0.5, 1.5), after)
        return msgspec.structs.replace(
            self, failures=self.failures + 1, retry=now + int(min(delay, LONGEST_RETRY))
        )

    def with_hindrance(self, why: str) -> AgentState:
        """Record a run that could not work, or with "" one that could."""
        return msgspec.structs.replace(
            self, hindered=self.hindered + 1 if why else 0, hindrance=why
        )

    def with_success(self) -> AgentState:
        """Record a run without failures."""
        return msgspec.structs.replace(self, failures=0, retry=0)

    def with_unfit(self, letter: str) -> AgentState:
        """Record a letter that does not fit this device."""
        return msgspec.structs.replace(self, unfit={**self.unfit, letter: __version__})

    def is_unfit(self, letter: str) -> bool:
        """Return whether this version of Repoint has rejected the letter."""
        return self.unfit.get(letter) == __version__

    def offered_since(self, offer: Offer, created: int | None) -> int:
        """Return when the deferral and the deadline of an improvement began to run.

        The catalog states when the improvement was offered, but whoever has its online key can
        state any time. The improvement itself, which the product's key has signed, states when it
        was created, and nothing began before that. If this device's clock was behind then, or was
        set back since, the time at which the device first saw the letter counts instead, so that no
        delay lasts longer than intended.

        Args:
            offer: The offer.
            created: When the improvement was created, in seconds since 1970; None if the device
                does not have its record.
        """
        seen = self.first_seen.get(offer.letter)
        if created is None and seen is not None:
            return seen
        since = max(offer.since, created or 0)
        return since if seen is None else min(since, seen)


def read_agent_state(state: ProductState) -> AgentState:
    """Read the agent's state of a product; the default if the file is missing or damaged."""
    return read_note(state.path / _FILE, AgentState) or AgentState()


def write_agent_state(state: ProductState, agent_state: AgentState) -> None:
    """Write the agent's state of a product."""
    if agent_state != read_agent_state(state):
        RecordFolder(state.path).write(_FILE, agent_state)
