"""Which fixes one improvement has and another lacks.

After a withdrawal, the next letter may lack what the withdrawn one fixed. The vendor is asked
before it is built, and a device does not install automatically what reopens a fix that is in force
there.

Rules:

1. A fix with a CVE id is identified by the id and the component: a CVE can affect two components,
   so a fix in one does not stand for a fix in the other.
2. A fix without a CVE id is identified by its component, impact and description. An id that a later
   letter adds to it changes nothing.
3. If a later letter renames a CVE id, a fix with the new id stands for one with the old id.
4. On a device, nothing is reopened in a component whose tree stays the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from repoint.model.advisory import Fix
from repoint.model.improvement import Improvement, LetteredAdvisory

_Identity = tuple[str, ...]


class ClaimedFix(msgspec.Struct, frozen=True):
    """A fix, with one of its CVE ids, that an improvement claims to have.

    Attributes:
        name: The CVE id; for a fix without one, ``LETTER:NUMBER``, the number of the fix in the
            advisory of the letter that introduced it.
        component: The component.
        letter: The letter that introduced it.
        impact: What could happen before the fix.
    """

    name: str
    component: str
    letter: str
    impact: str

    def __str__(self) -> str:
        return f"{self.name} in {self.component}"


def claimed_fixes(advisories: Iterable[LetteredAdvisory]) -> dict[_Identity, ClaimedFix]:
    """Return all fixes of an improvement's advisories, each once, under its identity."""
    claimed: dict[_Identity, ClaimedFix] = {}
    for lettered in advisories:
        for number, fix in enumerate(lettered.advisory.fixes, 1):
            for cve in fix.cves or ("",):
                name = cve or f"{lettered.letter}:{number}"
                claim = ClaimedFix(name, fix.component, lettered.letter, fix.impact)
                claimed.setdefault(_identity(cve, fix), claim)
    return claimed


def lost_fixes(
    earlier: Iterable[LetteredAdvisory],
    later: Iterable[LetteredAdvisory],
    renamed: Mapping[str, str],
) -> tuple[ClaimedFix, ...]:
    """Return the fixes of an earlier letter that a later one does not claim (rules 1 to 3).

    Args:
        earlier: The advisories of the earlier letter.
        later: The advisories of the later letter.
        renamed: The CVE ids that the later letter renames.
    """
    later = tuple(later)
    held = set(claimed_fixes(later))
    held |= {_identity("", fix) for each in later for fix in each.advisory.fixes}
    return tuple(
        claim
        for identity, claim in claimed_fixes(earlier).items()
        if identity not in held and (_current(claim.name, renamed), claim.component) not in held
    )


def reopened_fixes(in_force: Improvement | None, candidate: Improvement) -> tuple[ClaimedFix, ...]:
    """Return the fixes that are in force on a device and that a candidate would reopen.

    Args:
        in_force: The active improvement; None for the baseline.
        candidate: A later improvement of the same baseline.
    """
    if in_force is None:
        return ()
    lost = lost_fixes(in_force.advisories, candidate.advisories, candidate.renamed)
    return tuple(
        claim
        for claim in lost
        if _seal(in_force, claim.component) != _seal(candidate, claim.component)
    )


def _identity(cve: str, fix: Fix) -> _Identity:
    return (cve, fix.component) if cve else ("", fix.component, fix.impact, fix.description)


def _current(cve: str, renamed: Mapping[str, str]) -> str:
    seen = set()
    while cve in renamed and cve not in seen:
        seen.add(cve)
        cve = renamed[cve]
    return cve


def _seal(improvement: Improvement, component: str) -> str:
    """Return the seal of a component's tree; "" for the baseline's."""
    improved = improvement.component(component)
    return improved.seal if improved is not None else ""
