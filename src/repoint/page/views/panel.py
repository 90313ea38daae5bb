"""The panel of one product: a view of its overview, with processes grouped into programs."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.agent.overview.improvements import ImprovementOverview
from repoint.agent.overview.overview import Observation, Overview, read_overview
from repoint.device.device import Device
from repoint.device.status.fixes import FixState
from repoint.device.status.status import Status
from repoint.device.status.verdict import Verdict
from repoint.device.store.records import HistoryEntry
from repoint.model.baseline import RestartScope
from repoint.model.texts import contact_link
from repoint.page.views.programs import Program, affected_programs, exposed_programs


@dataclass(frozen=True)
class Panel:
    """The panel of one product.

    Attributes:
        overview: Everything that Repoint shows about the product.
        exposed: The programs that run replaced code.
        unknown: The programs that may run replaced code, and that cannot be judged.
        closing: The programs that a restart closes.
        closing_later: The programs that the restart after an installation will close.
    """

    overview: Overview
    exposed: tuple[Program, ...]
    unknown: tuple[Program, ...]
    closing: tuple[Program, ...]
    closing_later: tuple[Program, ...]

    @property
    def product(self) -> str:
        """The product's name."""
        return self.overview.product

    @property
    def name(self) -> str:
        """The product's name for people."""
        return self.overview.about.name or self.product

    @property
    def contact(self) -> str:
        """The address of the vendor's contact, as a link; empty if there is none to link to."""
        return contact_link(self.overview.about.contact)

    @property
    def support(self) -> str:
        """The address where people get help, as a link; empty if there is none to link to."""
        return contact_link(self.overview.about.support)

    @property
    def status(self) -> Status:
        """The status, as ``repoint status`` shows it."""
        return self.overview.status

    @property
    def verdict(self) -> Verdict:
        """The answer to "am I protected?" in one word."""
        return self.overview.verdict

    @property
    def available(self) -> ImprovementOverview | None:
        """The improvement that can be installed."""
        return self.overview.improvements.available

    @property
    def staged(self) -> ImprovementOverview | None:
        """The staged improvement; None if nothing or the baseline is staged."""
        return self.overview.improvements.staged

    @property
    def in_force(self) -> ImprovementOverview | None:
        """The improvement in force; None for the baseline."""
        return self.overview.improvements.in_force

    @property
    def removing(self) -> bool:
        """True if the next restart removes the improvement in force."""
        return self.overview.removal_staged

    @property
    def scopes(self) -> frozenset[RestartScope]:
        """The restart scopes of what is staged, or of replaced code that still runs."""
        return frozenset(affected.scope for affected in self.overview.affected_now)

    @property
    def scopes_later(self) -> frozenset[RestartScope]:
        """The restart scopes of the available improvement."""
        return frozenset(affected.scope for affected in self.overview.affected_by_offer)

    @property
    def history(self) -> tuple[HistoryEntry, ...]:
        """The history, newest entry first."""
        return self.overview.history[::-1]

    def cves(self, state: FixState) -> tuple[str, ...]:
        """Return the CVEs in a state, each once."""
        return tuple(dict.fromkeys(cve.cve for cve in self.status.cves if cve.state == state))


def read_panel(device: Device, product: str, *, now: float) -> Panel:
    """Read the panel of a product. Changes nothing."""
    overview = read_overview(device, product, Observation(now=int(now)))
    processes = device.host.processes
    return Panel(
        overview,
        exposed=exposed_programs(overview.status.exposed, processes),
        unknown=exposed_programs(overview.status.unknown, processes),
        closing=affected_programs(overview.affected_now, processes),
        closing_later=affected_programs(overview.affected_by_offer, processes),
    )
