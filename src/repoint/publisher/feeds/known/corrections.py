"""What later letters of a baseline correct about earlier ones.

Published improvements never change, so the world is told what is known now:

1. A CVE id that a later letter renames has its last name everywhere.
2. A fix to which any letter gives CVE ids has them everywhere. Without an id, fixes with the same
   component, impact and description are one fix: see `model.reopened`.
3. A fix without a CVE id is named ``LETTER:NUMBER`` by the first letter whose own advisory has it.
   That advisory never changes, so what other letters drop shifts no number.
4. If a letter drops a fix that the letter claims from which it starts, then it takes the claim
   back: it was wrong, and so were those of all letters before. So it does if the tree of the
   component is that of an earlier letter that claims the fix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from repoint.model.advisory import Advisory, Fix
from repoint.model.catalog import Offer
from repoint.model.improvement import LetteredAdvisory
from repoint.model.renamed_ids import current_ids
from repoint.publisher.catalog.claims import with_renamed
from repoint.publisher.feeds.known.outlines import ImprovementOutline

_Text = tuple[str, str, str]


@dataclass(frozen=True)
class Claims:
    """What a letter says about fixes, as later letters correct it.

    Attributes:
        advisories: The advisories of all letters that it contains, its own last.
        fixes: What it says it fixes: by CVE id or ``LETTER:NUMBER``, and by component.
        dropped: Fixes of earlier letters that it knowingly lacks.
        wrong: What it says it fixes although it does not.
        corrected: What later letters correct: the number of the letter, and what it says.
    """

    advisories: tuple[LetteredAdvisory, ...]
    fixes: dict[str, dict[str, Fix]]
    dropped: tuple[str, ...]
    wrong: frozenset[str]
    corrected: tuple[tuple[int, str], ...]


@dataclass
class _Names:
    """How the fixes of one baseline are named."""

    cves: dict[_Text, dict[str, None]] = field(default_factory=dict)
    numbers: dict[_Text, str] = field(default_factory=dict)
    texts: dict[str, _Text] = field(default_factory=dict)

    def add(self, own: LetteredAdvisory) -> None:
        for number, fix in enumerate(own.advisory.fixes, 1):
            name = f"{own.letter}:{number}"
            self.numbers.setdefault(_text(fix), name)
            self.texts[name] = _text(fix)
            self.cves.setdefault(_text(fix), {}).update(dict.fromkeys(fix.cves))

    def of(self, fix: Fix) -> tuple[str, ...]:
        return fix.cves or (self.numbers.get(_text(fix), ""),)

    def dropped(self, name: str) -> tuple[str, ...]:
        """Return the names of what a letter dropped under a name."""
        text = self.texts.get(name)
        if text is None:
            return (name,)
        return tuple(self.cves[text]) or (self.numbers[text],)


def corrected_claims(
    records: Sequence[ImprovementOutline], offers: Sequence[Offer]
) -> tuple[Claims, ...]:
    """Return what each letter of a baseline says about fixes, as all of them together know it.

    Args:
        records: The letters, in their order.
        offers: Their offers.
    """
    labels = [offer.label for offer in offers]
    current = current_ids(record.renamed for record in records)
    advisories = [with_renamed(record.advisories, current) for record in records]
    names = _Names()
    for each in advisories:
        names.add(each[-1])
    advisories = [tuple(_with_ids(each, names) for each in all_of) for all_of in advisories]
    fixes = [_by_name(all_of, names) for all_of in advisories]
    dropped = [
        tuple(
            dict.fromkeys(
                name for old in record.dropped for name in names.dropped(current.get(old, old))
            )
        )
        for record in records
    ]
    wrong = _wrong(records, offers, fixes, dropped)
    return tuple(
        Claims(
            advisories[number],
            fixes[number],
            dropped[number],
            frozenset(wrong[number]),
            (
                *_renamings(records, number, labels),
                *((by, f"{labels[by]} says that {name} is not fixed.")
                  for name, by in wrong[number].items()),
            ),
        )
        for number in range(len(records))
    )  # fmt: skip


def _text(fix: Fix) -> _Text:
    return fix.component, fix.impact, fix.description


def _with_ids(lettered: LetteredAdvisory, names: _Names) -> LetteredAdvisory:
    fixes = tuple(
        msgspec.structs.replace(fix, cves=fix.cves or tuple(names.cves.get(_text(fix), ())))
        for fix in lettered.advisory.fixes
    )
    return LetteredAdvisory(lettered.letter, Advisory(lettered.advisory.title, fixes))


def _by_name(advisories: Sequence[LetteredAdvisory], names: _Names) -> dict[str, dict[str, Fix]]:
    found: dict[str, dict[str, Fix]] = {}
    for each in advisories:
        for number, fix in enumerate(each.advisory.fixes, 1):
            for name in names.of(fix):
                # Only a damaged repository lacks the letter that introduced a fix.
                named = found.setdefault(name or f"{each.letter}:{number}", {})
                named[fix.component] = fix
    return found


def _wrong(
    records: Sequence[ImprovementOutline],
    offers: Sequence[Offer],
    fixes: Sequence[dict[str, dict[str, Fix]]],
    dropped: Sequence[Sequence[str]],
) -> list[dict[str, int]]:
    """Return what each letter claims wrongly, with the number of the letter that says so."""
    seals = [{part.name: part.seal for part in record.components} for record in records]
    wrong: list[dict[str, int]] = [{} for _ in records]
    for later, names in enumerate(dropped):
        base = _base(records, offers, later)
        for name in names:
            claiming = [number for number in range(later) if name in fixes[number]]
            taken_back = any(
                number == base or seals[number].get(component) == seals[later].get(component)
                for number in claiming
                for component in fixes[number][name].keys() - fixes[later].get(name, {}).keys()
            )
            for number in claiming if taken_back else ():
                wrong[number].setdefault(name, later)
    return wrong


def _base(
    records: Sequence[ImprovementOutline], offers: Sequence[Offer], number: int
) -> int | None:
    """Return the letter from which one starts: the last that was not withdrawn at the time."""
    for before in range(number - 1, -1, -1):
        offer = offers[before]
        if offer.state != "withdrawn" or offer.since > records[number].created:
            return before
    return None


def _renamings(
    records: Sequence[ImprovementOutline], number: int, labels: Sequence[str]
) -> list[tuple[int, str]]:
    """Return which CVE ids of a letter later ones corrected."""
    record = records[number]
    known = {cve for each in record.advisories for cve in each.advisory.cves()}
    known |= set(record.dropped)
    before = dict(record.renamed)
    found = []
    for by, later in enumerate(records[number + 1 :], number + 1):
        new = {old: cve for old, cve in later.renamed.items() if before.get(old) != cve}
        if pairs := [f"{old} is {new[old]}" for old in sorted(known & new.keys())]:
            found.append((by, f"{labels[by]} corrects CVE ids: {', '.join(pairs)}."))
            known |= set(new.values())
        before.update(later.renamed)
    return found
