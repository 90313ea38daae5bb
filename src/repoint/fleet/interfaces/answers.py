"""What the interfaces answer, from the roll-ups and the advisories.

Strangers have a say in how many lines there are: reports name letters and rings. So an answer has a
bounded number of lines, and says where the next one begins.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from repoint.fleet.advisories.exposure import Exposure, Fixes, exposures
from repoint.fleet.records import Adoption, DeviceState, FailureGroup, FleetState, Outcome

MOST: Final = 50_000
"""Lines of an answer. A list by the hour ends with the hour that reaches this number."""

_HOUR: Final = 3600


class Lines(NamedTuple):
    """The lines of an answer.

    Attributes:
        following: The parameters of the request for those that follow; empty if there are none.
    """

    rows: Sequence[msgspec.Struct]
    following: Mapping[str, int]


@dataclass(frozen=True)
class Answers:
    """Answers about a fleet.

    Attributes:
        fixes: Returns what the letters of a product fix.
        most: Lines of an answer.
    """

    state: FleetState
    fixes: Callable[[str], Fixes]
    most: int = MOST

    def products(self) -> list[str]:
        """Return the products of which there are reports, in order."""
        return self.state.products()

    def find(self, identity: str) -> list[DeviceState]:
        """Return what is known of an id."""
        return self.state.find(identity)

    def outcomes(self, product: str, since: int = 0) -> list[Outcome]:
        """Return what became of each letter that was staged since a time."""
        return self.state.outcomes(product, since)

    def failures(self, product: str, since: int = 0) -> list[FailureGroup]:
        """Return the failures of letters that were staged since a time."""
        return self.state.failures(product, since)

    def adoption(self, product: str, since: int) -> list[Adoption]:
        """Return the devices with each letter in force, by the hour."""
        return self.state.adoption(product, since, self.most)

    def exposure(self, product: str, since: int) -> list[Exposure]:
        """Return the devices that are exposed to each CVE, by the hour."""
        fixes = self.fixes(product)
        cves = {cve for letters in fixes.values() for one in letters.values() for cve in one}
        if not cves:
            return []
        adoption = self.state.adoption(product, since, self.most)
        hours = sorted({line.time for line in adoption})[: max(1, self.most // len(cves))]
        return exposures((line for line in adoption if line.time <= hours[-1]), fixes)

    def lines(self, name: str, product: str, since: int, offset: int) -> Lines:
        """Return the lines of a list.

        Args:
            name: ``outcomes``, ``adoption``, ``failures`` or ``exposure``.
            product: The product.
            since: The time of the first line, in seconds since 1970.
            offset: Lines to leave out; not for a list by the hour.
        """
        if name in ("adoption", "exposure"):
            hourly = self.adoption if name == "adoption" else self.exposure
            rows: Sequence[Adoption | Exposure] = hourly(product, since)
            now = self.state.adoption(product, rows[-1].time + _HOUR, 1) if rows else []
            return Lines(rows, {"since": rows[-1].time + _HOUR} if now else {})
        listed = self.outcomes if name == "outcomes" else self.failures
        found: Sequence[Outcome | FailureGroup] = listed(product, since)
        end = offset + self.most
        following = {"since": since, "offset": end} if end < len(found) else {}
        return Lines(found[offset:end], following)
