"""What the fleet's stores answer, and the guard, the page and the interfaces show."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import msgspec

from repoint.model.report import Failure, Report


class LetterName(msgspec.Struct, frozen=True, order=True):
    """A letter of one baseline; ``letter`` is empty for the baseline itself."""

    product: str
    platform: str
    version: str
    build: str
    letter: str

    @property
    def label(self) -> str:
        """The label that people read, such as ``26.3.1 (a)``."""
        return f"{self.version} ({self.letter})" if self.letter else self.version


class SignedNames(NamedTuple):
    """What the signed documents of a repository name, so that no stranger can have made it up.

    Attributes:
        products: The products.
        letters: Their baselines, and the letters of these.
        rings: The rings of all rollouts.
    """

    products: frozenset[str]
    letters: frozenset[LetterName]
    rings: frozenset[str]


class Outcome(msgspec.Struct, frozen=True):
    """What became of a letter on the devices of one platform and ring.

    Attributes:
        letter: The letter.
        ring: The ring; empty for devices without one.
        tried: Devices that staged it, or failed before they could for a reason that is not
            transient.
        staged: Devices that staged it, whatever followed.
        confirmed: Devices whose last event is a confirmation.
        failed: Devices whose last event is a failure that is not transient.
        transient: Devices whose last event is a transient failure.
        waited: Devices that staged it longer ago than the store's patience, whatever followed.
        silent: Devices of these that have reported nothing since.
        late: Devices of these that were silent for so long, and then confirmed it or failed.
    """

    letter: LetterName
    ring: str
    tried: int
    staged: int
    confirmed: int
    failed: int
    transient: int
    waited: int
    silent: int
    late: int


class Adoption(msgspec.Struct, frozen=True):
    """The devices that had a letter in force, in one hour, from the roll-ups.

    Attributes:
        time: The start of the hour, in seconds since 1970.
        devices: Devices with that letter in force.
        exposed: Devices of these on which some process still ran replaced code.
    """

    time: int
    letter: LetterName
    devices: int
    exposed: int


class FailureGroup(msgspec.Struct, frozen=True):
    """The failures of one kind of one letter.

    Attributes:
        first: When the first was reported, in seconds since 1970.
        last: When the last was reported, in seconds since 1970.
    """

    letter: LetterName
    ring: str
    failure: Failure
    devices: int
    first: int
    last: int


class DeviceState(msgspec.Struct, frozen=True):
    """What is known of one id: of a device in a managed fleet, or of one letter on a device.

    Attributes:
        id: The id, in 32 hexadecimal digits.
        is_device: Whether it identifies a device, not one letter on one.
        letter: The letter that the last report is about, which may have failed.
        in_force: The letter in force on a device; None if that is not known.
        kind: What the last report said.
        staged: The letter that waits for a restart on a device; empty for none.
        reported: When it came, in seconds since 1970.
    """

    id: str
    is_device: bool
    letter: LetterName
    in_force: LetterName | None
    ring: str
    kind: str
    failure: Failure | None
    staged: str
    exposed: int
    agent: str
    reported: int


class FleetState(Protocol):
    """The state of a fleet, behind SQLite or PostgreSQL."""

    def add(self, reports: list[Report], now: int) -> None:
        """Take reports, all or none; when it returns, they are on disk."""

    def products(self) -> list[str]:
        """Return the products of which there are reports, in order."""

    def outcomes(self, product: str, since: int = 0) -> list[Outcome]:
        """Return what became of each letter that was staged since a time, by letter and ring."""

    def adoption(self, product: str, since: int, most: int | None = None) -> list[Adoption]:
        """Return the adoption of each letter by the hour, oldest first.

        After ``most`` lines, no further hour begins.
        """

    def failures(self, product: str, since: int = 0) -> list[FailureGroup]:
        """Return the failures, the largest group first."""

    def received(self, since: int) -> dict[int, int]:
        """Return how many reports came in each hour from a time on, by the start of the hour."""

    def find(self, identity: str) -> list[DeviceState]:
        """Return what is known of an id."""
