"""The small numbers that stand for words in the database. They never change their meaning."""

from __future__ import annotations

from typing import Final, get_args

from repoint.model.report import TRANSIENT, Failure, Report

NOTHING: Final = 0
"""No event is known."""
STAGED: Final = 1
"""The last event is the staging; in the tallies, devices that wait."""
CONFIRMED: Final = 2
"""The last event is the confirmation."""
EVER_STAGED: Final = 3
"""In the tallies only: devices that staged the letter, whatever followed."""
LATE: Final = 4
"""In the tallies only: devices that confirmed the letter or failed after a long silence."""

FAILURES: Final[dict[Failure, int]] = {
    "network": 10,
    "space": 11,
    "busy": 12,
    "untrusted": 13,
    "unfit": 14,
    "decode": 15,
    "write": 16,
    "changed": 17,
    "health": 18,
    "start": 19,
    "other": 20,
}
"""The status of a letter whose last event is a failure, by its kind."""

_FAILURE_OF: Final[dict[int, Failure]] = {code: failure for failure, code in FAILURES.items()}

if FAILURES.keys() != set(get_args(Failure)):  # pragma: no cover
    raise AssertionError("Every kind of failure needs a number")

_AFTER_STAGING: Final = frozenset({CONFIRMED, FAILURES["health"], FAILURES["start"]})

_KINDS: Final = {STAGED: "staged", CONFIRMED: "confirmed"}

MAX_EXPOSED: Final = 32_767
"""The largest number of exposed processes that is stored, for any larger one."""


def status_of(report: Report) -> int:
    """Return the status that an event gives its letter."""
    if report.failure is not None:
        return FAILURES[report.failure]
    return STAGED if report.kind == "staged" else CONFIRMED


def kind_of(status: int) -> str:
    """Return the kind of the report that gave a status."""
    return _KINDS.get(status, "failed")


def failure_of(status: int) -> Failure | None:
    """Return the failure that a status stands for; None if it is none."""
    return _FAILURE_OF.get(status)


def is_transient(status: int) -> bool:
    """Return whether a status is a failure that says nothing about the letter."""
    return _FAILURE_OF.get(status) in TRANSIENT


def is_after_staging(status: int) -> bool:
    """Return whether only a device that has staged the letter can have a status."""
    return status == STAGED or status in _AFTER_STAGING


def is_settled(status: int) -> bool:
    """Return whether a status says whether the letter is good on the device."""
    return status == CONFIRMED or (status in _FAILURE_OF and not is_transient(status))


def letter_number(letter: str) -> int:
    """Return a letter as a number that grows with it: 0 for none, 1 for a, 27 for aa."""
    number = 0
    for character in letter:
        number = number * 26 + ord(character) - 96
    return number


def letter_text(number: int) -> str:
    """Return the letter of a number."""
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(97 + digit) + text
    return text
