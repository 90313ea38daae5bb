"""The advisory: what an improvement fixes, in words for people.

Advisories come from the network and appear in terminals and on pages. They must not contain
characters that change how a line looks, such as control characters and direction overrides.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from repoint.model.errors import InvalidRecordError, NameNotAllowedError
from repoint.model.names import check_component

MAX_FIXES = 1000
"""Fixes in one advisory."""

MAX_CVES = 500
"""CVE ids in one fix."""

MAX_LENGTH = {"title": 200, "impact": 1000, "description": 10_000, "credit": 1000}
"""Characters in each text."""

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
"""Source: https://www.cve.org/ResourcesSupport/FAQs, four digits or more, at most 19 (2014)."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the writing direction and can make a text look like another one."""


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fix.

    Attributes:
        cves: The CVE ids; empty if none is assigned.
        component: The affected component.
        impact: What could happen before the fix.
        description: What was wrong and how it was addressed.
        credit: Who reported it.
    """

    cves: tuple[str, ...]
    component: str
    impact: str
    description: str
    credit: str = ""

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
        _check_text("impact", self.impact)
        _check_text("description", self.description)
        if self.credit:
            _check_text("credit", self.credit)


class Advisory(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What one improvement fixes.

    Attributes:
        title: One line that describes the improvement.
        fixes: The fixes, the most important first.
    """

    title: str
    fixes: tuple[Fix, ...]

    def __post_init__(self) -> None:
        _check_text("title", self.title)
        if "\n" in self.title:
            raise InvalidRecordError("The title has more than one line")
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
        raise InvalidRecordError(f"{text[:60]!r} is not a CVE id", hint="Write it as CVE-2023-4863")
    return text


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise InvalidRecordError(f"The {field} is empty", hint=f"Write the {field}")
    if len(text) > MAX_LENGTH[field]:
        raise InvalidRecordError(f"The {field} is longer than {MAX_LENGTH[field]:,} characters")
    for character in text:
        if _may_mislead(character):
            raise InvalidRecordError(
                f"The {field} contains the control character U+{ord(character):04X}",
                hint="Remove it",
            )


def _may_mislead(character: str) -> bool:
    # Cc: control; Cs: half of a surrogate pair, never valid in UTF-8; Zl, Zp: line separators.
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
