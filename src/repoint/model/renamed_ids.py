"""Which CVE ids are one fix, because a letter has renamed the one to the other.

A letter never changes once it is published. So the ids of earlier letters stay wrong in their
records, and whoever compares letters brings all of them to the current ids first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from repoint.model.advisory import Advisory, Fix
from repoint.model.improvement import Improvement, LetteredAdvisory


class Renaming(msgspec.Struct, frozen=True):
    """The part of an improvement's record that renames: nothing else is read of it.

    Attributes:
        letter: The letter.
        renamed: See `Improvement`.
    """

    letter: str
    renamed: dict[str, str] = {}


def current_ids(renamings: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the current id of every CVE id that was renamed.

    Args:
        renamings: What each letter renames, in the order of the letters: the later one counts.
    """
    latest: dict[str, str] = {}
    for renamed in renamings:
        latest |= renamed
    return {old: _last(old, latest) for old in latest}


def with_current_ids(improvement: Improvement, current: Mapping[str, str]) -> Improvement:
    """Return an improvement whose advisories name every CVE by its current id.

    Args:
        improvement: The signed record.
        current: See `current_ids`.
    """
    if not current:
        return improvement

    def corrected(fix: Fix) -> Fix:
        cves = tuple(dict.fromkeys(current.get(cve, cve) for cve in fix.cves))
        return msgspec.structs.replace(fix, cves=cves)

    return msgspec.structs.replace(
        improvement,
        advisories=tuple(
            LetteredAdvisory(
                each.letter,
                Advisory(each.advisory.title, tuple(map(corrected, each.advisory.fixes))),
            )
            for each in improvement.advisories
        ),
    )


def _last(cve: str, latest: Mapping[str, str]) -> str:
    """Follow an id to the current one. A circle still is one fix, so any one of it will do."""
    seen = [cve]
    while latest.get(seen[-1], "") not in ("", *seen):
        seen.append(latest[seen[-1]])
    following = latest.get(seen[-1], "")
    return min(seen[seen.index(following) :]) if following else seen[-1]
