"""Validation of the texts for people in signed documents.

They come from the network and appear in terminals and on pages. They must not contain characters
that change how a line looks, such as control characters and direction overrides.
"""

from __future__ import annotations

import re
import unicodedata

from repoint.model.errors import InvalidRecordError

_BIDI = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that change the writing direction and can make a text look like another one."""

_HTTPS = re.compile(
    r"https://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[0-9]{1,5})?(?:[/?#]\S*)?"
)

_MAIL = re.compile(
    r"(?:mailto:)?[A-Za-z0-9_+~=-][A-Za-z0-9._+~=-]*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
)
"""Fewer characters than mail allows: no ``?`` or ``%``, which give a mailto address more parts."""

CONTACT_PATTERN = f"^(?:{_HTTPS.pattern}|{_MAIL.pattern})?$"
"""What `check_contact` accepts, and nothing at all, for JSON schemas."""

MAX_REASON = 1000
"""Characters in the reason of a withdrawal or a removal."""

MAX_URL = 1000
"""Characters in an address."""


def check_text(field: str, text: str, limit: int, *, lines: bool = True) -> str:
    """Return ``text`` if it may be shown to people.

    Args:
        field: What the text is, for messages.
        text: The text.
        limit: The most characters that it may have.
        lines: Whether it may have several lines and tabs.

    Raises:
        InvalidRecordError: It is blank or too long, or contains a character that may mislead.
    """
    if not text.strip():
        raise InvalidRecordError(f"The {field} is empty", hint=f"Write the {field}")
    if len(text) > limit:
        raise InvalidRecordError(
            f"The {field} is longer than {limit:,} characters", hint="Shorten it"
        )
    for character in text:
        if character == "\n" and not lines:
            raise InvalidRecordError(
                f"The {field} has more than one line", hint="Write it on one line"
            )
        if _may_mislead(character) or (character == "\t" and not lines):
            raise InvalidRecordError(
                f"The {field} contains the control character U+{ord(character):04X}",
                hint="Remove it",
            )
    return text


def check_reason(reason: str, *, required: bool = True) -> str:
    """Return a reason that people at devices read, without the spaces around it.

    Args:
        reason: The reason.
        required: Whether it may not be empty.

    Raises:
        InvalidRecordError: It is empty although it is required, too long, has several lines, or
            contains a character that may mislead.
    """
    reason = reason.strip()
    if not reason and not required:
        return ""
    return check_text("reason", reason, MAX_REASON, lines=False)


def check_url(field: str, url: str) -> str:
    """Return ``url`` if it is an https address that a page may link to.

    Raises:
        InvalidRecordError: It is not.
    """
    if not _HTTPS.fullmatch(url) or not url.isascii() or not url.isprintable():
        raise InvalidRecordError(
            f"The {field} is not an https address: {url[:60]!a}",
            hint="Write it as https://example.com/advisories/1",
        )
    if len(url) > MAX_URL:
        raise InvalidRecordError(f"The {field} is longer than {MAX_URL:,} characters")
    return url


def check_contact(field: str, text: str) -> str:
    """Return ``text`` if people can reach somebody there: an https or mail address.

    Raises:
        InvalidRecordError: It is neither.
    """
    if not contact_link(text):
        raise InvalidRecordError(
            f"The {field} is neither an https nor a mail address: {text[:60]!a}",
            hint="Write it as https://example.com/security or security@example.com",
        )
    return text


def contact_link(text: str) -> str:
    """Return the address to which a page may link for a contact; empty if it must not link.

    Baselines are signed by vendors, and older ones may say anything here.
    """
    if _MAIL.fullmatch(text):
        return f"mailto:{text.removeprefix('mailto:')}"
    try:
        return check_url("contact", text)
    except InvalidRecordError:
        return ""


def _may_mislead(character: str) -> bool:
    # Cc: control; Cs: half of a surrogate pair, never valid in UTF-8; Zl, Zp: line separators.
    if character in "\n\t":
        return False
    return character in _BIDI or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
