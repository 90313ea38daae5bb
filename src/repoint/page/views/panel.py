"""What the panel of one product shows, gathered in one look that changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repoint.agent.overview import Overview, read_overview
from repoint.agent.restart import scope_of
from repoint.device.device import Device
from repoint.device.status.status import NO_CVE, CveStatus, FixState, Status
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation, HistoryEntry, LastCheck
from repoint.host import logind
from repoint.model.advisory import Fix
from repoint.model.baseline import RestartScope
from repoint.model.catalog import Urgency
from repoint.model.improvement import Improvement
from repoint.model.version import Letter, parse_label
from repoint.page.views.programs import Program, affected_programs, exposed_programs

Verdict = Literal["protected", "restart", "exposed", "open", "unchecked", "replaced"]
"""The answer to the one question that people have.

``restart``: all is fixed, but not in force before a restart. ``exposed``: all that is installed is
in force but for programs that still run old code. ``open``: something is not fixed here.
``unchecked``: the repository was never asked. ``replaced``: a component was replaced from outside.
"""


@dataclass(frozen=True)
class ShownFix:
    """One thing that is fixed, or would be.

    Attributes:
        fix: What the advisory says.
        letter: The letter that brought it.
        state: What has become of it here.
    """

    fix: Fix
    letter: str
    state: FixState


@dataclass(frozen=True)
class Shown:
    """An improvement as the panel shows it.

    Attributes:
        label: ``26.3.1 (a)``.
        title: What it is about.
        size: Bytes to download.
        urgency: How much it hurries.
        fixes: What it fixes beyond what is in force.
        held_back: Why it is not installed by itself.
        why: What the person or the health check said then.
        parts: How many components it changes.
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
        ahead: What is, what is to come, and what was decided.
        verdict: In one word.
        available: What could be installed.
        staged: What waits for a restart.
        removing: The baseline waits for a restart; the improvement in force is removed then.
        in_force: The improvement in force; nothing for the baseline.
        since: When what is in force came into force, in seconds since 1970; 0 where unknown.
        exposed: The programs that run replaced code, one for each name.
        closing: The programs that a restart closes.
        closing_later: The programs that the restart after an installation will close.
        restarts_at: When the machine restarts, in seconds since 1970; nothing where that is not
            announced, or not for this.
        history: What happened, newest first.
    """

    ahead: Overview
    verdict: Verdict
    available: Shown | None
    staged: Shown | None
    removing: bool
    in_force: Shown | None
    since: int
    exposed: tuple[Program, ...]
    closing: tuple[Program, ...]
    closing_later: tuple[Program, ...]
    restarts_at: int | None
    history: tuple[HistoryEntry, ...]

    @property
    def status(self) -> Status:
        """What `repoint status` says."""
        return self.ahead.status

    @property
    def scopes(self) -> frozenset[RestartScope]:
        """What has to restart for what is staged, or still for what is in force."""
        return frozenset(thing.scope for thing in self.ahead.activating)

    @property
    def product(self) -> str:
        """The product."""
        return self.status.product

    @property
    def last_check(self) -> LastCheck | None:
        """When the repository was last asked."""
        return self.status.last_check

    @property
    def open_cves(self) -> tuple[str, ...]:
        """What is not fixed here."""
        return _ids(self.status.cves, "not fixed")

    @property
    def waiting_cves(self) -> tuple[str, ...]:
        """What is fixed, but not in force."""
        return _ids(self.status.cves, "waiting for restart")


def look(device: Device, name: str, *, now: float) -> Panel:
    """Look at a product."""
    product = device.store.one(name)
    ahead = read_overview(device, name, now=int(now))
    status = ahead.status
    active, staged = product.links.active(), product.links.staged()
    running = active or Generation(status.version, status.build)
    history = product.history.entries()
    return Panel(
        ahead=ahead,
        verdict=_verdict(status),
        available=_available(product, status, running),
        staged=_staged(product, status, running, staged),
        removing=staged is not None and not staged.letter,
        in_force=_in_force(product, status, running),
        since=next((e.when for e in reversed(history)
                    if e.event in ("activated", "enrolled") and e.label == running.label), 0),
        exposed=exposed_programs(status.exposed),
        closing=affected_programs(ahead.activating),
        closing_later=affected_programs(ahead.installing),
        # Where only the policy asks, the machine restarts in the place of a session.
        restarts_at=(
            logind.scheduled_restart() if scope_of(ahead) in ("system", "session") else None
        ),
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


def _available(state: ProductState, status: Status, running: Generation) -> Shown | None:
    offer = status.available
    if offer is None:
        return None
    _, letter = parse_label(offer.label)
    improvement = state.documents.known_improvement(letter)
    mark = state.marks.get(Generation(running.version, running.build, letter))
    return Shown(
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
) -> Shown | None:
    improvement = state.generations.improvement(staged) if staged is not None else None
    if improvement is None:
        return None
    fixes = _fixes(improvement, status, after=running.letter)
    return _shown(state, improvement, fixes)


def _in_force(state: ProductState, status: Status, running: Generation) -> Shown | None:
    improvement = state.generations.improvement(running)
    if improvement is None:
        return None
    return _shown(state, improvement, _fixes(improvement, status))


def _shown(state: ProductState, improvement: Improvement, fixes: tuple[ShownFix, ...]) -> Shown:
    catalog = state.documents.catalog()
    offer = catalog.offer(improvement.baseline, improvement.letter) if catalog else None
    return Shown(
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
    """The newest letter's fixes first; only those of letters after one where that is given."""
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
    # The worst of its CVEs says how the whole fix stands.
    found = {states.get((cve, fix.component), "not fixed") for cve in fix.cves or (NO_CVE,)}
    worst: tuple[FixState, ...] = ("not fixed", "waiting for restart", "in force")
    return next(state for state in worst if state in found)


def _ids(cves: tuple[CveStatus, ...], state: FixState) -> tuple[str, ...]:
    return tuple(dict.fromkeys(cve.cve for cve in cves if cve.state == state))
