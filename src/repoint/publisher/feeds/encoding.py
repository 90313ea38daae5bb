"""How the files of the feeds write moments, addresses and JSON."""

from __future__ import annotations

import datetime as dt
from urllib.parse import quote

import msgspec


def moment(seconds: int) -> str:
    """Return a moment, in seconds since 1970, as RFC 3339 writes it, in UTC."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day(seconds: int) -> str:
    """Return the day of a moment in UTC, such as ``30 November 2026``."""
    at = dt.datetime.fromtimestamp(seconds, dt.UTC)
    return f"{at.day} {_MONTHS[at.month - 1]} {at.year}"


def address(path: str) -> str:
    """Return a path below ``security/`` as it stands in an address.

    ``+`` is escaped too, because some object stores read it as a space.
    """
    return quote(path, safe="/")


def encoded(document: object) -> bytes:
    """Encode a document as JSON for people and programs: indented, with a newline at its end."""
    return msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n"


# Not strftime's names: they depend on the locale.
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
