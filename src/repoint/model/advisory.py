"""The advisory: what an improvement fixes, in words for people."""

from __future__ import annotations

import re

import msgspec

from repoint.model.errors import InvalidRecordError, NameNotAllowedError
from repoint.model.names import check_component
from repoint.model.texts import check_text, check_url

MAX_FIXES = 1000
"""Fixes in one advisory."""

MAX_CVES = 500
"""CVE ids in one fix."""

MAX_LENGTH = {"title": 200, "impact": 1000, "description": 10_000, "credit": 1000}
"""Characters in each text."""

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
"""Source: https://www.cve.org/ResourcesSupport/FAQs, four digits or more, at most 19 (2014)."""


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fix.

    Attributes:
        cves: The CVE ids; empty if none is assigned.
        component: The affected component.
        impact: What could happen before the fix.
        description: What was wrong and how it was addressed.
        credit: Who reported it.
        url: An https address with more about it; empty for none.
    """

    cves: tuple[str, ...]
    component: str
    impact: str
    description: str
    credit: str = ""
    url: str = ""

    def __post_init__(self) -> None:
        if len(self.cves) > MAX_CVES:
            raise InvalidRecordError(f"It has more than {MAX_CVES} CVE ids")
        for cve in self.cves:
            check_cve(cve)
        if len(set(self.cves)) < len(self.cves):
            twice = next(cve for cve in self.cves if self.cves.count(cve) > 1)
            raise InvalidRecordError(f"{twice} is listed twice", hint="Remove one of them")
        try:
            check_component(self.component)
        except NameNotAllowedError as error:
            raise InvalidRecordError(error.message, hint=error.hint) from None
        check_text("impact", self.impact, MAX_LENGTH["impact"])
        check_text("description", self.description, MAX_LENGTH["description"])
        if self.credit:
            check_text("credit", self.credit, MAX_LENGTH["credit"])
        if self.url:
            check_url("url", self.url)


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one improvement fixes.

    Attributes:
        title: One line that describes the improvement.
        fixes: The fixes, the most important first.
    """

    title: str
    fixes: tuple[Fix, ...]

    def __post_init__(self) -> None:
        check_text("title", self.title, MAX_LENGTH["title"], lines=False)
        if not self.fixes:
            raise InvalidRecordError("It has no fix", hint="Describe what the improvement fixes")
        if len(self.fixes) > MAX_FIXES:
            raise InvalidRecordError(f"It has more than {MAX_FIXES:,} fixes")

    def cves(self) -> tuple[str, ...]:
        """Return all CVE ids, each once, in the order of the fixes."""
        return tuple(dict.fromkeys(cve for fix in self.fixes for cve in fix.cves))


def check_cve(text: str) -> str:
    """Return ``text`` if it is a CVE id, such as ``CVE-2023-4863``.

    Raises:
        InvalidRecordError: It is not a CVE id.
    """
    if not _CVE.fullmatch(text):
        meant = text.strip().upper()
        example = meant if _CVE.fullmatch(meant) else "CVE-2023-4863"
        raise InvalidRecordError(f"{text[:60]!r} is not a CVE id", hint=f"Write it as {example}")
    return text
