"""The pages: all improvements by date, and one page for each. They are plain HTML without script.

Everything from outside is escaped: Jinja2 escapes every variable, and `outside` isolates the
direction of the writing and shows what is invisible.
"""

from __future__ import annotations

import datetime as dt
import functools
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repoint.model.advisory import Fix
from repoint.model.printable import one_line
from repoint.model.texts import contact_link
from repoint.publisher.feeds.csaf import csaf_path, state_text
from repoint.publisher.feeds.encoding import address, day, moment
from repoint.publisher.feeds.known.facts import Facts, KnownImprovement
from repoint.publisher.feeds.known.vulnerabilities import Vulnerability, lines_of

_FOLDER = Path(__file__).parent
ASSETS = ("security.css", "icon.svg")


class Pages:
    """Renders the pages of a repository.

    Args:
        facts: What they tell.
    """

    def __init__(self, facts: Facts) -> None:
        self._facts = facts
        self._lines = lines_of(facts)

    def files(self) -> dict[str, bytes]:
        """Return the pages and what they refer to, by path below ``security/``."""
        files = {name: (_FOLDER / "assets" / name).read_bytes() for name in ASSETS}
        files["index.html"] = self._index().encode()
        for improvement in self._facts.improvements:
            files[f"improvements/{improvement.id}.html"] = self._improvement(improvement).encode()
        return files

    def entry(self, improvement: KnownImprovement) -> str:
        """Return what an improvement fixes as HTML for a feed."""
        return self._render("entry.html", improvement=improvement).strip()

    def _index(self) -> str:
        years = [
            (year, list(found))
            for year, found in groupby(self._facts.improvements, lambda each: _year(each.published))
        ]
        names = {each.about.name or each.product for each in self._facts.products}
        return self._render(
            "index.html", years=years, products=self._facts.products, several=len(names) > 1
        )

    def _improvement(self, improvement: KnownImprovement) -> str:
        about = improvement.about
        found = self._lines[improvement.id].vulnerabilities(improvement)
        addresses = (("Help:", about.support), ("The vendor:", about.contact))
        return self._render(
            "improvement.html",
            improvement=improvement,
            sections=_sections(improvement),
            csaf=csaf_path(improvement),
            state=state_text(improvement),
            pages={each.letter: each.id for each in improvement.earlier},
            lacking=[
                (each, _why_not(improvement, each)) for each in found if improvement in each.lacking
            ],
            later=self._later(improvement),
            restarts=_restarts(improvement),
            addresses=[(what, text, contact_link(text)) for what, text in addresses if text],
        )

    def _later(self, improvement: KnownImprovement) -> KnownImprovement | None:
        """Return the latest offered letter of its baseline, if that is a later one."""
        later = [
            each
            for each in self._facts.improvements
            if each.state == "offered" and improvement in each.earlier
        ]
        return max(later, key=lambda each: len(each.earlier), default=None)

    def _render(self, template: str, **variables: object) -> str:
        feeds = bool(self._facts.address)
        return _environment().get_template(template).render(feeds=feeds, **variables)


@functools.cache  # to compile the templates takes longer than to render many pages
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters.update(outside=_outside, day=day, moment=moment, address=address)
    return environment


def _year(seconds: int) -> int:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).year


def _sections(improvement: KnownImprovement) -> list[tuple[str, list[Fix]]]:
    """Return what it fixes by the letter that introduced it, the latest first, each fix once."""
    seen: set[tuple[str, ...]] = set()
    sections = []
    for each in improvement.advisories[::-1]:
        fixes = []
        for fix in each.advisory.fixes:
            claims: set[tuple[str, ...]] = {
                (cve, fix.component) for cve in fix.cves if cve not in improvement.wrong
            }
            if not fix.cves and not _taken_back(improvement, fix):
                claims = {(fix.component, fix.impact, fix.description)}
            if claims - seen:
                fixes.append(fix)
            seen |= claims
        sections.append((each.letter, fixes))
    return [(letter, fixes) for letter, fixes in sections if fixes]


def _taken_back(improvement: KnownImprovement, fix: Fix) -> bool:
    return any(fix in improvement.fixes[name].values() for name in improvement.wrong)


def _why_not(improvement: KnownImprovement, found: Vulnerability) -> str:
    if found.wrong:
        return "It was said in error that an improvement fixes it"
    if found.name in improvement.fixes:
        return "Not fixed in every component that has it"
    return "An earlier improvement fixed it, and this one does not"


_RESTARTS = {
    "none": "Nothing has to restart.",
    "app": "The programs that use it have to restart.",
    "service": "Services that use it have to restart.",
    "session": "The session has to restart.",
    "system": "The device has to restart.",
}


def _restarts(improvement: KnownImprovement) -> str:
    scopes = {improvement.baseline.restarts[name] for name in improvement.components}
    return _RESTARTS[max(scopes, key=list(_RESTARTS).index)]


def _outside(text: str) -> Markup:
    lines = "\n".join(one_line(line) for line in text.split("\n"))
    return Markup("<bdi>{}</bdi>").format(lines)
