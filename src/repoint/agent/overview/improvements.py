"""The improvements of an overview, with the texts of what they fix."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.device.status.fixes import NO_CVE, FixState
from repoint.device.status.status import Status
from repoint.device.store.fixes import KnownFixes
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.model.advisory import Fix
from repoint.model.catalog import Urgency
from repoint.model.improvement import Improvement
from repoint.model.reopened import ClaimedFix
from repoint.model.version import Letter, parse_label

HeldBack = Literal["", "removed", "failed", "reopens"]


class FixOverview(msgspec.Struct, frozen=True):
    """One fix of an improvement.

    Attributes:
        fix: The entry of the advisory: CVE ids, impact, description, credit.
        letter: The letter that introduced the fix.
        state: Its state on this device.
    """

    fix: Fix
    letter: str
    state: FixState


class ImprovementOverview(msgspec.Struct, frozen=True):
    """An improvement that is available, staged or in force.

    Attributes:
        label: The label, such as ``26.3.1 (a)``.
        title: The title of its advisory.
        size: Bytes to download.
        urgency: The urgency that the catalog states.
        fixes: The fixes that are not in force through an earlier letter, newest letter first.
        held_back: Why it is not installed automatically; empty if nothing holds it back.
        reason: The reason that a person or the health check gave for ``held_back``.
        components: The number of components that it changes.
        reopens: The fixes that are in force here and that it does not contain. A person who
            installs it accepts to lose them.
        published: When it was offered, in seconds since 1970; 0 if it is unknown.
    """

    label: str
    title: str
    size: int
    urgency: Urgency
    fixes: tuple[FixOverview, ...]
    held_back: HeldBack = ""
    reason: str = ""
    components: int = 1
    reopens: tuple[ClaimedFix, ...] = ()
    published: int = 0


class Improvements(msgspec.Struct, frozen=True):
    """The improvements that concern a product now.

    Attributes:
        available: The newest one that is offered and neither staged nor in force.
        staged: The one that waits for a restart; None for a baseline.
        in_force: The one that is active; None for the baseline.
    """

    available: ImprovementOverview | None = None
    staged: ImprovementOverview | None = None
    in_force: ImprovementOverview | None = None


def read_improvements(
    state: ProductState, status: Status, available: Improvement | None
) -> Improvements:
    """Read the improvements of a product.

    Args:
        state: The product's state.
        status: Its status, read just before.
        available: The signed record of what is available, if a check has found it.
    """
    known = KnownFixes(state)
    active, staged = state.links.active(), state.links.staged()
    running = active or Generation(status.version, status.build)
    return Improvements(
        available=_available(state, status, known, available),
        staged=_stored(state, status, known, staged, after=running.letter),
        in_force=_stored(state, status, known, running),
    )


def _available(
    state: ProductState, status: Status, known: KnownFixes, improvement: Improvement | None
) -> ImprovementOverview | None:
    offer = status.available
    if offer is None:
        return None
    _, letter = parse_label(offer.label)
    running = state.links.active() or Generation(status.version, status.build)
    mark = state.marks.get(Generation(running.version, running.build, letter))
    return ImprovementOverview(
        offer.label,
        offer.title,
        offer.size,
        offer.urgency,
        _fixes(improvement, status, known, running.letter) if improvement is not None else (),
        mark.kind if mark is not None else "reopens" if offer.reopens else "",
        mark.why if mark is not None else "",
        len(improvement.components) if improvement is not None else 1,
        offer.reopens,
        offer.published,
    )


def _stored(
    state: ProductState,
    status: Status,
    known: KnownFixes,
    generation: Generation | None,
    after: str = "",
) -> ImprovementOverview | None:
    improvement = state.generations.improvement(generation) if generation is not None else None
    if improvement is None:
        return None
    catalog = state.documents.catalog()
    offer = catalog.offer(improvement.baseline, improvement.letter) if catalog else None
    return ImprovementOverview(
        improvement.label,
        improvement.title,
        improvement.download_size,
        offer.urgency if offer is not None else "routine",
        _fixes(improvement, status, known, after),
        components=len(improvement.components),
        published=offer.since if offer is not None and offer.state == "offered" else 0,
    )


def _fixes(
    improvement: Improvement, status: Status, known: KnownFixes, after: str = ""
) -> tuple[FixOverview, ...]:
    """Return the fixes of letters after ``after``, each once, newest letter first."""
    states = {(cve.cve, cve.component): cve.state for cve in status.cves}
    fixes: dict[tuple[str, ...], FixOverview] = {}
    for lettered in reversed(known.current(improvement).advisories):
        if not after or Letter(lettered.letter) > Letter(after):
            for fix in lettered.advisory.fixes:
                texts = () if fix.cves else (fix.impact, fix.description)
                key = (fix.component, *sorted(fix.cves), *texts)
                fixes.setdefault(key, FixOverview(fix, lettered.letter, _state(fix, states)))
    return tuple(fixes.values())


def _state(fix: Fix, states: dict[tuple[str, str], FixState]) -> FixState:
    """Return the worst state among the CVEs of a fix."""
    present = {states.get((cve, fix.component), "not fixed") for cve in fix.cves or (NO_CVE,)}
    worst_first: tuple[FixState, ...] = ("not fixed", "waiting for restart", "in force")
    return next(state for state in worst_first if state in present)
