"""What an improvement claims to fix, compared with every earlier letter of its baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from repoint.model.advisory import Advisory, Fix, check_cve
from repoint.model.baseline import BaselineName
from repoint.model.improvement import Improvement, LetteredAdvisory
from repoint.model.reopened import ClaimedFix, claimed_fixes, lost_fixes
from repoint.publisher.errors import LostFixesError, UnknownFixError


@dataclass(frozen=True)
class Corrections:
    """What the vendor changes about the claims of earlier letters.

    Attributes:
        dropped: Fixes of earlier letters that the improvement would lose, and knowingly does: CVE
            ids, or ``LETTER:NUMBER`` for a fix without one.
        retracted: Fixes that earlier letters claim and never had, named in the same way. They are
            taken out of what the improvement inherits.
        renamed: CVE ids that an earlier letter names wrongly, each with the right one.
    """

    dropped: Sequence[str] = ()
    renamed: Mapping[str, str] = field(default_factory=dict)
    retracted: Sequence[str] = ()


@dataclass(frozen=True)
class Claims:
    """The part of an improvement's record that says what it fixes."""

    advisories: tuple[LetteredAdvisory, ...]
    dropped: tuple[str, ...]
    renamed: dict[str, str]


def claims_of(
    new: LetteredAdvisory,
    before: Improvement | None,
    earlier: Sequence[Improvement],
    corrections: Corrections,
) -> Claims:
    """Return what the next improvement claims.

    Args:
        new: Its own advisory.
        before: The improvement that it extends, if any.
        earlier: Every earlier letter of its baseline, also those that are withdrawn.
        corrections: What changes about the claims of earlier letters.

    Raises:
        UnknownFixError: A correction is about a fix that no earlier letter has.
        LostFixesError: A fix of an earlier letter would be lost and is not dropped.
    """
    fixed = {claim.name: claim for each in earlier for claim in claims_in(each)}
    for name in (*corrections.dropped, *corrections.retracted, *corrections.renamed):
        if name not in fixed:
            raise UnknownFixError(
                f"No earlier letter of this baseline fixes {name[:60]!r}",
                hint=f"They fix: {_shortened(list(fixed)) or 'nothing'}",
            )
    for cve in corrections.renamed.values():
        check_cve(cve)
    renamed = {**(before.renamed if before is not None else {}), **corrections.renamed}
    inherited = with_renamed(before.advisories if before is not None else (), corrections.renamed)
    lost = _lost(earlier, (*inherited, new), renamed)
    _require_not_kept(new, corrections, lost)
    advisories = (*_without(inherited, corrections.retracted), new)
    lost = _lost(earlier, advisories, renamed)
    given_up = (*corrections.dropped, *corrections.retracted)
    known = (*(before.dropped if before is not None else ()), *given_up)
    unexpected = [claim for name, claim in lost.items() if name not in known]
    if unexpected:
        raise _lost_error(unexpected, earlier[0].baseline)
    return Claims(advisories, tuple(n for n in dict.fromkeys(known) if n in lost), renamed)


def would_lose(
    new: LetteredAdvisory,
    before: Improvement | None,
    earlier: Sequence[Improvement],
    renamed: Mapping[str, str],
) -> set[str]:
    """Return the names of what the next improvement would lose, if nothing is done about it.

    Args:
        new: Its own advisory.
        before: The improvement that it extends, if any.
        earlier: Every earlier letter of its baseline, also those that are withdrawn.
        renamed: The CVE ids that it corrects.
    """
    inherited = with_renamed(before.advisories if before is not None else (), renamed)
    all_renamed = {**(before.renamed if before is not None else {}), **renamed}
    return set(_lost(earlier, (*inherited, new), all_renamed))


def claims_in(improvement: Improvement) -> list[ClaimedFix]:
    """Return the fixes of an improvement."""
    return list(claimed_fixes(improvement.advisories).values())


def with_renamed(
    advisories: tuple[LetteredAdvisory, ...], renamed: Mapping[str, str]
) -> tuple[LetteredAdvisory, ...]:
    """Return advisories with other CVE ids, by the old one."""

    def rename(fix: Fix) -> Fix:
        cves = tuple(dict.fromkeys(renamed.get(cve, cve) for cve in fix.cves))
        return msgspec.structs.replace(fix, cves=cves)

    return tuple(
        LetteredAdvisory(
            each.letter, Advisory(each.advisory.title, tuple(map(rename, each.advisory.fixes)))
        )
        for each in advisories
    )


def _require_not_kept(
    new: LetteredAdvisory, corrections: Corrections, lost: Mapping[str, ClaimedFix]
) -> None:
    """Refuse to give up what the improvement fixes: nobody means to, and devices would be told."""
    for name in (*corrections.dropped, *corrections.retracted):
        if name not in lost and name in new.advisory.cves():
            raise UnknownFixError(
                f"{name} is dropped, and is in the advisory of this improvement",
                hint="Leave out one of them",
            )
    for name in corrections.dropped:
        if name not in lost:
            raise UnknownFixError(
                f"{name} would not be lost: this improvement inherits its fix",
                hint=f"Leave out --drop-fix {name}; if it was never fixed, take it back with "
                f"--retract-fix {name}",
            )


def _lost(
    earlier: Sequence[Improvement],
    advisories: tuple[LetteredAdvisory, ...],
    renamed: Mapping[str, str],
) -> dict[str, ClaimedFix]:
    lost: dict[str, ClaimedFix] = {}
    for improvement in earlier:
        for claim in lost_fixes(improvement.advisories, advisories, renamed):
            lost.setdefault(claim.name, claim)
    return lost


def _lost_error(lost: Sequence[ClaimedFix], baseline: BaselineName) -> LostFixesError:
    fixes = _shortened([f"{claim} ({claim.letter})" for claim in lost])
    options = " ".join(f"--drop-fix {claim.name}" for claim in lost)
    where = f"--version {baseline.version} --platform {baseline.platform}"
    return LostFixesError(
        f"This improvement would lose {'a fix' if len(lost) == 1 else f'{len(lost)} fixes'} of "
        f"earlier letters: {fixes}",
        hint="If the components still hold "
        f"{'it' if len(lost) == 1 else 'them'}, add {'it' if len(lost) == 1 else 'them'} to the "
        f"advisory; if they do not, say so with {where} {options}",
        lost=tuple(lost),
    )


def _without(
    advisories: tuple[LetteredAdvisory, ...], names: Sequence[str]
) -> tuple[LetteredAdvisory, ...]:
    """Return the advisories without some fixes. A fix with other CVE ids keeps those."""
    kept = []
    for each in advisories:
        fixes = []
        for number, fix in enumerate(each.advisory.fixes, 1):
            cves = tuple(cve for cve in fix.cves if cve not in names)
            if cves:
                fixes.append(msgspec.structs.replace(fix, cves=cves))
            elif not fix.cves and f"{each.letter}:{number}" not in names:
                fixes.append(fix)
        if fixes:
            kept.append(LetteredAdvisory(each.letter, Advisory(each.advisory.title, tuple(fixes))))
    return tuple(kept)


def _shortened(names: Sequence[str]) -> str:
    more = f" and {len(names) - 20} more" if len(names) > 20 else ""
    return ", ".join(names[:20]) + more
