"""What the interfaces answer, from the roll-ups and the advisories."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from repoint.fleet.advisories.exposure import Exposure, Fixes, exposures
from repoint.fleet.records import Adoption, DeviceState, FailureGroup, FleetState, Outcome


@dataclass(frozen=True)
class Answers:
    """Answers about a fleet.

    Attributes:
        fixes: Returns what the letters of a product fix.
    """

    state: FleetState
    fixes: Callable[[str], Fixes]

    def products(self) -> list[str]:
        """Return the products of which there are reports, in order."""
        return self.state.products()

    def outcomes(self, product: str, since: int = 0) -> list[Outcome]:
        """Return what became of each letter that was staged since a time."""
        return self.state.outcomes(product, since)

    def adoption(self, product: str, since: int) -> list[Adoption]:
        """Return the devices with each letter in force, by the hour."""
        return self.state.adoption(product, since)

    def failures(self, product: str, since: int = 0) -> list[FailureGroup]:
        """Return the failures of letters that were staged since a time."""
        return self.state.failures(product, since)

    def exposure(self, product: str, since: int) -> list[Exposure]:
        """Return the devices that are exposed to each CVE, by the hour."""
        fixes = self.fixes(product)
        return exposures(self.state.adoption(product, since), fixes) if fixes else []

    def find(self, identity: str) -> list[DeviceState]:
        """Return what is known of an id."""
        return self.state.find(identity)
