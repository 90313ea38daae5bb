"""Errors of the page: refused requests, refused passcodes, and a page that does not open."""

from __future__ import annotations

from typing import Literal

from repoint.model.errors import RepointError


class RequestRefusedError(Exception):
    """A request is refused.

    Attributes:
        key: The key of the text that gives the reason.
        status: The HTTP status of the response.
    """

    def __init__(self, key: str, status: int = 403) -> None:
        super().__init__(key)
        self.key = key
        self.status = status


class PasscodeError(RepointError):
    """The passcode that was entered is not accepted."""


class PasscodeMissingError(PasscodeError):
    """No passcode was entered. This does not count as an attempt."""


class WrongPasscodeError(PasscodeError):
    """The passcode is wrong. ``wait``: seconds until the next one is checked."""

    def __init__(self, wait: int) -> None:
        super().__init__("The passcode is wrong", hint="Try again")
        self.wait = wait


class TooManyAttemptsError(PasscodeError):
    """The passcode was not checked after too many wrong ones. ``wait``: seconds left to wait."""

    def __init__(self, wait: int) -> None:
        super().__init__("Too many wrong passcodes", hint=f"Wait {wait} seconds")
        self.wait = wait


class UnsuitablePasscodeError(PasscodeError):
    """A new passcode is too short, too long, or differs from its repetition (``reason``)."""

    def __init__(self, reason: Literal["short", "long", "differs"]) -> None:
        message = {
            "short": "The passcode is too short",
            "long": "The passcode is too long",
            "differs": "The two passcodes are not the same",
        }
        super().__init__(message[reason], hint="Choose another one")
        self.reason = reason


class PasscodeUnavailableError(PasscodeError):
    """The system could not check the passcode."""


class PageNotOpenedError(RepointError):
    """The page cannot be opened."""
