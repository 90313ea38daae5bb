"""What an improvement fixes, told to people.

Advisories come over the network and are shown in terminals and on pages, so what could change
how a line looks (control characters, overrides of the writing direction) has no place in them.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from repoint.model.errors import InvalidRecordError, NameNotAllowedError
from repoint.model.names import check_component

MOST_FIXES = 1000
"""Fixes that one advisory may hold."""

MOST_CVES = 500
"""CVE ids that one fix may hold."""

LONGEST = {"title": 200, "impact": 1000, "description": 10_000, "credit": 1000}
"""Characters that each text may have."""

_CVE = re.compile(r"CVE-[0-9]{4}-[0-9]{4,19}")
"""Source: https://www.cve.org/ResourcesSupport/FAQs, four digits or more, at most 19 (2014)."""

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the writing direction, with which a text can look like another one."""


class Fix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One thing that is fixed.

    Attributes:
        cves: The CVE ids; none for a fix that has not got one.
        component: The component that was affected.
        impact: What could happen to a person before.
        description: What was wrong and how it was addressed.
        credit: Who found it.
    """

    cves: tuple[str, ...]
    component: str
    impact: str
    description: str
    credit: str = ""

    def __post_init__(self) -> None:
        if len(self.cves) > MOST_CVES:
            raise InvalidRecordError(f"It has more than {MOST_CVES} CVE ids")
        for cve in self.cves:
            check_cve(cve)
        if len(set(self.cves)) < len(self.cves):
            twice = next(cve for cve in self.cves if self.cves.count(cve) > 1)
            raise InvalidRecordError(f"{twice} stands in it twice", hint="Take one of them out")
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
        title: One line that says what the improvement is about.
        fixes: What is fixed, the most important first.
    """

    title: str
    fixes: tuple[Fix, ...]

    def __post_init__(self) -> None:
        _check_text("title", self.title)
        if "\n" in self.title:
            raise InvalidRecordError("The title has more than one line")
        if not self.fixes:
            raise InvalidRecordError("It names no fix", hint="Say what the improvement fixes")
        if len(self.fixes) > MOST_FIXES:
            raise InvalidRecordError(f"It has more than {MOST_FIXES:,} fixes")

    def cves(self) -> tuple[str, ...]:
        """All CVE ids, each once, in the order in which they are named."""
        return tuple(dict.fromkeys(cve for fix in self.fixes for cve in fix.cves))


def check_cve(text: str) -> str:
    """Return ``text`` if it is a CVE id, such as ``CVE-2023-4863``.

    Raises:
        InvalidRecordError: It is not.
    """
    if not _CVE.fullmatch(text):
        raise InvalidRecordError(f"{text[:60]!r} is not a CVE id", hint="Write it as CVE-2023-4863")
    return text


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise InvalidRecordError(f"The {field} is empty", hint=f"Write the {field}")
    if len(text) > LONGEST[field]:
        raise InvalidRecordError(f"The {field} is longer than {LONGEST[field]:,} characters")
    for character in text:
        if _may_mislead(character):
            raise InvalidRecordError(
                f"The {field} holds the control character U+{ord(character):04X}",
                hint="Take it out",
            )


def _may_mislead(character: str) -> bool:
    # Cc: control; Cs: half of a surrogate pair, which no UTF-8 holds; Zl, Zp: line separators.
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
