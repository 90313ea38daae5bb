"""Which versions of a product have which vulnerabilities, as far as the signed documents say.

Rules:

1. A baseline has every vulnerability that one of its improvements fixes.
2. A letter has it if it does not claim its fix, in every component that the fix is for, or if a
   later letter says that the claim was wrong.
3. A baseline without any of these components does not have it.
4. Of all other baselines nothing is known, so nothing is said.
5. The remedy is the latest letter on offer that fixes it.

Each statement is made from all letters of the baseline, so no document contradicts another.
"""

from __future__ import annotations

from dataclasses import dataclass

from repoint.model.advisory import Fix
from repoint.publisher.feeds.known.facts import Facts, KnownBaseline, KnownImprovement


@dataclass(frozen=True)
class Vulnerability:
    """A vulnerability, as the document of one letter speaks of it.

    Attributes:
        name: Its CVE id; ``LETTER:NUMBER`` if it has none: see `feeds.known.corrections`.
        cve: Its CVE id; empty if it has none.
        fixes: What is said of it, once for each component.
        holding: The letters that fix it, up to that of the document.
        lacking: The letters that do not, up to that of the document.
        affected_later: The later letters that do not.
        unaffected: The baselines that have none of its components.
        remedy: The latest letter on offer that fixes it, earlier or later; None if there is none.
        wrong: Whether a letter claims to fix it, and a later one says that this was wrong.
    """

    name: str
    cve: str
    fixes: tuple[Fix, ...]
    holding: tuple[KnownImprovement, ...]
    lacking: tuple[KnownImprovement, ...]
    affected_later: tuple[KnownImprovement, ...]
    unaffected: tuple[KnownBaseline, ...]
    remedy: KnownImprovement | None
    wrong: bool


class Line:
    """All letters of one baseline, in their order.

    Args:
        letters: The letters.
    """

    def __init__(self, letters: tuple[KnownImprovement, ...]) -> None:
        self._letters = letters
        self._components: dict[str, set[str]] = {}
        for each in letters:
            for name, by_component in each.fixes.items():
                if name not in each.wrong:
                    self._components.setdefault(name, set()).update(by_component)

    def fixes(self, letter: KnownImprovement, name: str) -> bool:
        """Return whether a letter fixes a vulnerability in every component that has it."""
        claimed = letter.fixes.get(name)
        if claimed is None or name in letter.wrong:
            return False
        return self._components[name] <= claimed.keys()

    def vulnerabilities(self, letter: KnownImprovement) -> list[Vulnerability]:
        """Return the vulnerabilities that a letter claims to fix, or knowingly does not fix."""
        found = [self._vulnerability(letter, name, fixes) for name, fixes in letter.fixes.items()]
        for name in letter.dropped:
            before = next((e.fixes[name] for e in letter.earlier[::-1] if name in e.fixes), None)
            if before is not None and name not in letter.fixes:
                found.append(self._vulnerability(letter, name, before))
        return found

    def events(self, letter: KnownImprovement) -> list[tuple[int, str]]:
        """Return what may have changed what is said of a letter, oldest first.

        Another letter of its baseline may become the remedy, or stop to be one.
        """
        others = [
            (at, f"{each.label}: {text}")
            for each in self._letters
            if each.letter != letter.letter
            for at, text in each.events
            # What is corrected about another letter is told with the letter that corrects it.
            if at > letter.published and text not in {said for _, said in each.corrected}
        ]
        first, *own = letter.events
        return [first, *sorted((*own, *others))]

    def _vulnerability(
        self, letter: KnownImprovement, name: str, fixes: dict[str, Fix]
    ) -> Vulnerability:
        upto = (*letter.earlier, letter)
        after = self._letters[len(upto) :]
        components = self._components.get(name, set()) or fixes.keys()
        offered = [e for e in self._letters if e.state == "offered" and self.fixes(e, name)]
        return Vulnerability(
            name=name,
            cve=name if any(fix.cves for fix in fixes.values()) else "",
            fixes=tuple(fixes.values()),
            holding=tuple(each for each in upto if self.fixes(each, name)),
            lacking=tuple(each for each in upto if not self.fixes(each, name)),
            affected_later=tuple(each for each in after if not self.fixes(each, name)),
            unaffected=tuple(
                base for base in letter.others if components.isdisjoint(base.restarts)
            ),
            remedy=offered[-1] if offered else None,
            wrong=any(name in each.wrong for each in self._letters),
        )


def lines_of(facts: Facts) -> dict[str, Line]:
    """Return the line of each improvement, by the improvement's id."""
    lines: dict[str, Line] = {}
    for product in facts.products:
        for baseline in product.baselines:
            letters = tuple(e for e in product.improvements if e.baseline.name == baseline.name)
            line = Line(letters)
            lines.update((each.id, line) for each in letters)
    return lines
