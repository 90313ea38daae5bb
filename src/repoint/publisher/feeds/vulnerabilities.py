"""Which versions of a product have which vulnerabilities, as far as the signed documents say.

Rules:

1. A baseline has every vulnerability that one of its improvements fixes.
2. A letter has it if it does not claim its fix, in every component that the fix is for.
3. A baseline without any of these components does not have it.
4. Of all other baselines nothing is known, so nothing is said.

What is known of a letter never changes, because a later letter changes nothing about earlier ones.
"""

from __future__ import annotations

from dataclasses import dataclass

from repoint.model.advisory import Fix
from repoint.model.reopened import lost_fixes
from repoint.publisher.feeds.facts import KnownBaseline, KnownImprovement


@dataclass(frozen=True)
class Vulnerability:
    """A vulnerability, as an improvement knows it.

    Attributes:
        name: Its CVE id; ``LETTER:NUMBER`` if it has none: see `model.reopened`.
        cve: Its CVE id; empty if it has none.
        fixes: What is said of it, once for each component.
        fixed: Whether the improvement fixes it; else it knowingly lacks a fix of an earlier letter.
        holding: The earlier letters that fix it.
        lacking: The earlier letters that do not.
        unaffected: The baselines that have none of its components.
    """

    name: str
    cve: str
    fixes: tuple[Fix, ...]
    fixed: bool
    holding: tuple[KnownImprovement, ...]
    lacking: tuple[KnownImprovement, ...]
    unaffected: tuple[KnownBaseline, ...]


def vulnerabilities(improvement: KnownImprovement) -> list[Vulnerability]:
    """Return the vulnerabilities that an improvement fixes or knowingly does not fix."""
    fixed = _fixes(improvement)
    lost = {
        earlier.letter: {
            (claim.name, claim.component)
            for claim in lost_fixes(improvement.advisories, earlier.advisories, {})
        }
        for earlier in improvement.earlier
    }
    found = [
        _vulnerability(
            improvement, name, fixes, True,
            {e.letter for e in improvement.earlier
             if any((name, fix.component) in lost[e.letter] for fix in fixes)},
        )
        for name, fixes in fixed.items()
    ]  # fmt: skip
    known = {earlier.letter: _fixes(earlier) for earlier in improvement.earlier}
    for name in improvement.dropped:
        fixes = next((known[e.letter][name] for e in improvement.earlier[::-1]
                      if name in known[e.letter]), [])  # fmt: skip
        if fixes and name not in fixed:
            lacking = {letter for letter, held in known.items() if name not in held}
            found.append(_vulnerability(improvement, name, fixes, False, lacking))
    return found


def _fixes(improvement: KnownImprovement) -> dict[str, list[Fix]]:
    """Return what an improvement says it fixes, by CVE id or ``LETTER:NUMBER``."""
    found: dict[str, list[Fix]] = {}
    for lettered in improvement.advisories:
        for number, fix in enumerate(lettered.advisory.fixes, 1):
            for name in fix.cves or (f"{lettered.letter}:{number}",):
                found.setdefault(name, []).append(fix)
    return found


def _vulnerability(
    improvement: KnownImprovement, name: str, fixes: list[Fix], fixed: bool, lacking: set[str]
) -> Vulnerability:
    by_component = {fix.component: fix for fix in fixes}
    return Vulnerability(
        name=name,
        cve=name if any(fix.cves for fix in fixes) else "",
        fixes=tuple(by_component.values()),
        fixed=fixed,
        holding=tuple(e for e in improvement.earlier if e.letter not in lacking),
        lacking=tuple(e for e in improvement.earlier if e.letter in lacking),
        unaffected=tuple(
            base for base in improvement.others if by_component.keys().isdisjoint(base.restarts)
        ),
    )
