"""Which fixes are in force on this device, which wait, and which are lacking."""

from __future__ import annotations

from typing import Literal

import msgspec

from repoint.device.status.exposure import Exposure
from repoint.device.store.fixes import KnownFixes
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import Generation
from repoint.model.improvement import Improvement
from repoint.model.version import Letter

FixState = Literal["in force", "waiting for restart", "not fixed"]

NO_CVE = "no CVE id"
"""What is shown for a fix without a CVE id."""


class CveStatus(msgspec.Struct, frozen=True):
    """The state of one CVE on this device.

    ``unavailable`` says why the improvement that fixes it is not offered; empty if it is, or if
    the fix is installed.
    """

    cve: str
    component: str
    impact: str
    improvement: str
    state: FixState
    unavailable: str = ""


def read_fixes(
    state: ProductState, known: KnownFixes, exposed: list[Exposure]
) -> tuple[CveStatus, ...]:
    """Read the state of everything that a letter known here fixes.

    Args:
        state: The product.
        known: What its letters fix.
        exposed: The processes that run replaced code.
    """
    active, staged = state.links.active(), state.links.staged()
    baseline = state.documents.enrolment().baseline
    # In the middle of a full update, the baseline of the enrolment is not that of what is active.
    of = active if active is not None else Generation.of(baseline, "")
    states: dict[tuple[str, str, str], CveStatus] = {}

    def add(improvement: Improvement | None, state: FixState, why: str = "") -> None:
        advisories = known.current(improvement).advisories if improvement is not None else ()
        for lettered in advisories:
            label = Generation(of.version, of.build, lettered.letter).label
            for fix in lettered.advisory.fixes:
                for cve in fix.cves or (NO_CVE,):
                    cve_status = CveStatus(cve, fix.component, fix.impact, label, state, why)
                    key = (cve, fix.component, fix.impact if cve == NO_CVE else "")
                    states.setdefault(key, _unless_exposed(cve_status, lettered.letter, exposed))

    if active is not None:
        add(state.generations.improvement(active), "in force")
    if staged is not None and staged.letter:
        add(state.generations.improvement(staged), "waiting for restart")
    catalog = state.documents.catalog()
    if catalog is not None:
        # If two letters fix it, the one that can be installed counts.
        offers = catalog.offers_for(baseline)
        offers.sort(key=lambda o: (o.state == "offered", Letter(o.letter)), reverse=True)
        for offer in offers:
            improvement = state.documents.known_improvement(offer.letter)
            add(improvement, "not fixed", offer.why_not_offered)
    return tuple(states[key] for key in sorted(states))


def _unless_exposed(cve_status: CveStatus, letter: str, exposed: list[Exposure]) -> CveStatus:
    """The fix, waiting for a restart if a process still runs the component from before the fix."""
    for process in exposed:
        runs = process.runs.letter
        old = process.use.counts and (not runs or Letter(runs) < Letter(letter))
        if cve_status.state == "in force" and process.component == cve_status.component and old:
            return msgspec.structs.replace(cve_status, state="waiting for restart")
    return cve_status
