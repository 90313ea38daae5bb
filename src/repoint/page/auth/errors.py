"""What the page refuses, each with what the person should do next."""

from __future__ import annotations

from typing import Literal

from repoint.model.errors import RepointError


class Refusal(RepointError):  # noqa: N818  # an answer to the person at the sheet
    """What was given as the passcode is not enough to go on."""


class NotGivenError(Refusal):
    """The field was left empty. That is no attempt."""


class WrongPasscodeError(Refusal):
    """The passcode is wrong. ``wait``: seconds until the next one is looked at."""

    def __init__(self, wait: int) -> None:
        super().__init__("The passcode is wrong", hint="Try again")
        self.wait = wait


class TooManyWrongError(Refusal):
    """So many were wrong that none is looked at for a while. ``wait``: seconds that are left."""

    def __init__(self, wait: int) -> None:
        super().__init__("Too many wrong passcodes", hint=f"Wait {wait} seconds")
        self.wait = wait


class PasscodeUnfitError(Refusal):
    """A new passcode is too short or too long, or its repetition differs (``why``)."""

    def __init__(self, why: Literal["short", "long", "differs"]) -> None:
        said = {
            "short": "The passcode is too short",
            "long": "The passcode is too long",
            "differs": "The two passcodes are not the same",
        }
        super().__init__(said[why], hint="Choose another one")
        self.why = why


class CannotAskError(Refusal):
    """The system cannot tell whether the passcode is right."""


class CannotOpenError(RepointError):
    """The page cannot be opened."""
