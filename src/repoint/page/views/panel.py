"""Everything that the panel of one product shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repoint.agent.overview import Observation, Overview, read_overview
from repoint.device.device import Device
from repoint.device.status.status import NO_CVE, CveStatus, FixState, Status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, LastCheck
from repoint.model.advisory import Fix
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Urgency
from repoint.model.improvement import Improvement
from repoint.model.version import Letter, parse_label
from repoint.page.views.programs import Program, affected_programs, exposed_programs

Verdict = Literal["protected", "restart", "exposed", "open", "unchecked", "replaced"]
"""The answer to "am I protected?".

``protected``: every known fix is in force. ``restart``: every fix is installed, and some need a
restart. ``exposed``: every fix is in force, but programs still run the old code. ``open``: a fix is
not installed. ``unchecked``: the repository was never checked. ``replaced``: something other than
Repoint replaced a component.
"""


@dataclass(frozen=True)
class ShownFix:
    """A fix of an improvement.

    Attributes:
        fix: The entry of the advisory.
        letter: The letter that introduced it.
        state: Whether it is in force here.
    """

    fix: Fix
    letter: str
    state: FixState


@dataclass(frozen=True)
class ShownImprovement:
    """An improvement as the panel shows it.

    Attributes:
        label: ``26.3.1 (a)``.
        title: The title of its advisory.
        size: Bytes to download.
        urgency: How urgent the vendor says it is.
        fixes: What it fixes beyond what is in force.
        held_back: Why it does not install automatically.
        why: The reason that the person or the health check gave.
        parts: Number of components that it changes.
    """

    label: str
    title: str
    size: int
    urgency: Urgency
    fixes: tuple[ShownFix, ...]
    held_back: Literal["", "removed", "failed"] = ""
    why: str = ""
    parts: int = 1


@dataclass(frozen=True)
class Panel:
    """The panel of one product.

    Attributes:
        overview: The overview of the product.
        verdict: The answer in one word.
        available: The improvement that can be installed.
        staged: The improvement that is staged.
        removing: Whether a restart will remove the improvement in force.
        in_force: The improvement in force; None for the baseline.
        since: When it came into force, in seconds since 1970; 0 if unknown.
        exposed: The programs that run replaced code.
        closing: The programs that a restart closes.
        closing_later: The programs that the restart after an installation will close.
        restarts_at: When the machine restarts for this product, in seconds since 1970; None if no
            restart is scheduled.
        history: The history, newest first.
    """

    overview: Overview
    verdict: Verdict
    available: ShownImprovement | None
    staged: ShownImprovement | None
    removing: bool
    in_force: ShownImprovement | None
    since: int
    exposed: tuple[Program, ...]
    closing: tuple[Program, ...]
    closing_later: tuple[Program, ...]
    restarts_at: int | None
    history: tuple[HistoryEntry, ...]

    @property
    def status(self) -> Status:
        """The status, as `repoint status` shows it."""
        return self.overview.status

    @property
    def scopes(self) -> frozenset[RestartScope]:
        """The restart scopes of what is staged, or of replaced code that still runs."""
        return frozenset(affected.scope for affected in self.overview.affected_now)

    @property
    def product(self) -> str:
        """The product's name."""
        return self.status.product

    @property
    def last_check(self) -> LastCheck | None:
        """The last check of the repository."""
        return self.status.last_check

    @property
    def open_cves(self) -> tuple[str, ...]:
        """The CVEs that are not fixed here."""
        return _ids(self.status.cves, "not fixed")

    @property
    def waiting_cves(self) -> tuple[str, ...]:
        """The CVEs whose fix is not in force before a restart."""
        return _ids(self.status.cves, "waiting for restart")


def read_panel(device: Device, name: str, *, now: float) -> Panel:
    """Read the panel of a product. Changes nothing."""
    product = device.store.one(name)
    overview = read_overview(device, name, Observation(now=int(now)))
    status = overview.status
    active, staged = product.links.active(), product.links.staged()
    running = active or Generation(status.version, status.build)
    history = product.history.entries()
    return Panel(
        overview=overview,
        verdict=_verdict(status),
        available=_available(product, status, running),
        staged=_staged(product, status, running, staged),
        removing=staged is not None and not staged.letter,
        in_force=_in_force(product, status, running),
        since=next((e.when for e in reversed(history)
                    if e.event in ("activated", "enrolled") and e.label == running.label), 0),
        exposed=exposed_programs(status.exposed),
        closing=affected_programs(overview.affected_now),
        closing_later=affected_programs(overview.affected_by_offer),
        restarts_at=overview.scheduled_restart,
        history=tuple(reversed(history)),
    )  # fmt: skip


def _verdict(status: Status) -> Verdict:
    states = {cve.state for cve in status.cves}
    if status.last_check is None:
        return "unchecked"
    if not all(graft.in_place for graft in status.grafts):
        return "replaced"
    if "not fixed" in states:
        return "open"
    if status.staged:
        return "restart"
    if status.exposed or "waiting for restart" in states:
        return "exposed"
    return "protected"


def _available(state: ProductState, status: Status, running: Generation) -> ShownImprovement | None:
    offer = status.available
    if offer is None:
        return None
    _, letter = parse_label(offer.label)
    improvement = state.documents.known_improvement(letter)
    mark = state.marks.get(Generation(running.version, running.build, letter))
    return ShownImprovement(
        offer.label,
        offer.title,
        offer.size,
        offer.urgency,
        _fixes(improvement, status, after=running.letter),
        mark.kind if mark is not None else "",
        mark.why if mark is not None else "",
        len(improvement.components) if improvement is not None else 1,
    )


def _staged(
    state: ProductState, status: Status, running: Generation, staged: Generation | None
) -> ShownImprovement | None:
    improvement = state.generations.improvement(staged) if staged is not None else None
    if improvement is None:
        return None
    fixes = _fixes(improvement, status, after=running.letter)
    return _shown(state, improvement, fixes)


def _in_force(state: ProductState, status: Status, running: Generation) -> ShownImprovement | None:
    improvement = state.generations.improvement(running)
    if improvement is None:
        return None
    return _shown(state, improvement, _fixes(improvement, status))


def _shown(
    state: ProductState, improvement: Improvement, fixes: tuple[ShownFix, ...]
) -> ShownImprovement:
    catalog = state.documents.catalog()
    offer = catalog.offer(improvement.baseline, improvement.letter) if catalog else None
    return ShownImprovement(
        improvement.label,
        improvement.title,
        improvement.download_size,
        offer.urgency if offer is not None else "routine",
        fixes,
        parts=len(improvement.components),
    )


def _fixes(
    improvement: Improvement | None, status: Status, *, after: str = ""
) -> tuple[ShownFix, ...]:
    """Return the fixes, newest letter first; only those of letters after ``after``."""
    if improvement is None:
        return ()
    states = {(cve.cve, cve.component): cve.state for cve in status.cves}
    return tuple(
        ShownFix(fix, lettered.letter, _state(fix, states))
        for lettered in reversed(improvement.advisories)
        if not after or Letter(lettered.letter) > Letter(after)
        for fix in lettered.advisory.fixes
    )


def _state(fix: Fix, states: dict[tuple[str, str], FixState]) -> FixState:
    # A fix is in the worst state of its CVEs.
    present = {states.get((cve, fix.component), "not fixed") for cve in fix.cves or (NO_CVE,)}
    worst: tuple[FixState, ...] = ("not fixed", "waiting for restart", "in force")
    return next(state for state in worst if state in present)


def _ids(cves: tuple[CveStatus, ...], state: FixState) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cve.cve for cve in cves if cve.state == state))
