"""What is wrong with the rules of a policy file, in words that say what is allowed."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from repoint.model.errors import RepointError

_YES_OR_NO = "true or false"
_DAYS = "a whole number of days from 0 to 3650"

ALLOWED = {
    "automatic": _YES_OR_NO,
    "removal": _YES_OR_NO,
    "defer_days": _DAYS,
    "deadline_days": _DAYS,
    "window": '"02:00-05:00", "sat,sun 22:00-04:00" or a list of those',
    "bandwidth": "a whole number from 10 to 10000000 (kB per second)",
    "metered": _YES_OR_NO,
    "urgent": _YES_OR_NO,
    "repositories": 'a list of addresses such as ["https://updates.example.org/"]',
    "ring": 'the name of a ring, such as "early"; "" for none',
    "export": _YES_OR_NO,
    "reports": 'an address such as "https://fleet.example.org", or false',
}
"""What each rule may be."""


def why_malformed(
    table: Mapping[str, object], convert: Callable[[dict[str, object]], object]
) -> str:
    """Return what is wrong with the content of a policy file; "" if nothing is.

    Args:
        table: The rules.
        convert: Converts a table of one rule; raises what is wrong with its value.
    """
    for key, value in table.items():
        if key not in ALLOWED:
            import difflib  # only to explain a mistake

            close = difflib.get_close_matches(key, ALLOWED, 1)
            meant = f"; did you mean `{close[0]}`?" if close else ""
            return f"it has the unknown key {key!r}{meant} (allowed: {', '.join(ALLOWED)})"
        try:
            convert({key: value})
        except msgspec.ValidationError:
            return f"`{key}` is {_shown(value)}, and must be {ALLOWED[key]}"
        except RepointError as error:
            return f"`{key}`: {error.message}; it must be {ALLOWED[key]}"
    return ""


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    return repr(value)[:80]
