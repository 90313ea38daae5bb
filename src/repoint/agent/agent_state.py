"""What the agent remembers between its rounds; everything else it finds on disk."""

from __future__ import annotations

import random

import msgspec

from repoint import __version__
from repoint.device.store.files import RecordFolder, read_note
from repoint.device.store.product_state import ProductState
from repoint.model.catalog import Offer

FIRST_WAIT = 15 * 60
"""Seconds before the next try after a first failure, on average; they double with each more."""
LONGEST_WAIT = 24 * 3600
"""Seconds that a next try is away at the most."""

ATTENDED = 2 * 86_400
"""Seconds after a round for which another one is to be expected; timers come once an hour."""

_FILE = "agent.json"


class AgentState(msgspec.Struct, frozen=True):
    """What is remembered of a product. All times are in seconds since 1970.

    Attributes:
        round: When the last round was made; 0 for never.
        seen: When this device first saw each letter that is offered.
        told: When people were first told of what restarts by itself, by what was told.
        failures: How often in a row the repository could not be had, or an installation failed.
        retry: Not before this moment again; 0 for at once.
        unfit: Letters that do not fit this device, each with the Repoint that found it so: what
            was signed never changes, but another Repoint may be able to read it.
    """

    round: int = 0
    seen: dict[str, int] = {}
    told: dict[str, int] = {}
    failures: int = 0
    retry: int = 0
    unfit: dict[str, str] = {}

    def at(self, now: int) -> AgentState:
        """The same, with no moment later than is possible: the clock may have been set back."""
        return msgspec.structs.replace(
            self,
            round=min(self.round, now),
            seen={letter: min(when, now) for letter, when in self.seen.items()},
            told={what: min(when, now) for what, when in self.told.items()},
            retry=min(self.retry, now + LONGEST_WAIT),
        )

    def is_attended(self, now: int) -> bool:
        """Whether something makes rounds here."""
        return self.round > now - ATTENDED

    def with_seen(self, letters: list[str], now: int) -> AgentState:
        """Take note of the letters that are offered now."""
        seen = {letter: self.seen.get(letter, now) for letter in letters}
        unfit = {letter: by for letter, by in self.unfit.items() if letter in letters}
        return msgspec.structs.replace(self, seen=seen, unfit=unfit)

    def with_told(self, what: str, now: int) -> AgentState:
        """Take note that people were told of something; nothing else waits to be told then."""
        return msgspec.structs.replace(self, told={what: self.told.get(what, now)})

    def with_failure(self, now: int, chance: random.Random) -> AgentState:
        """Take note of a failure: each more doubles the wait, which is half of that to half more.

        The jitter keeps a fleet that an outage has hit from coming back all at once.
        """
        wait = FIRST_WAIT * 2 ** min(self.failures, 16) * chance.uniform(0.5, 1.5)
        return msgspec.structs.replace(
            self, failures=self.failures + 1, retry=now + int(min(wait, LONGEST_WAIT))
        )

    def with_success(self) -> AgentState:
        """Take note that all went well."""
        return msgspec.structs.replace(self, failures=0, retry=0)

    def with_unfit(self, letter: str) -> AgentState:
        """Take note of a letter that does not fit this device."""
        return msgspec.structs.replace(self, unfit={**self.unfit, letter: __version__})

    def is_unfit(self, letter: str) -> bool:
        """Whether this Repoint has found that the letter does not fit."""
        return self.unfit.get(letter) == __version__

    def started(self, offer: Offer) -> int:
        """When the deferral and the deadline of an improvement began to run.

        The vendor says when it was offered. Where this device's clock was behind then, or was set
        back since, the moment at which it saw the improvement counts: no wait can grow longer than
        it was meant to be.
        """
        return min(offer.since, self.seen.get(offer.letter, offer.since))


def read_agent_state(state: ProductState) -> AgentState:
    """What is remembered of a product; nothing where the file is missing or damaged."""
    return read_note(state.path / _FILE, AgentState) or AgentState()


def write_agent_state(state: ProductState, memory: AgentState) -> None:
    """Write down what is remembered."""
    if memory != read_agent_state(state):
        RecordFolder(state.path).write(_FILE, memory)
