"""The result of an operation that found nothing to do."""

from __future__ import annotations

from typing import Literal, TypeVar

import msgspec

from repoint.device.errors import NothingToDoError

Result = TypeVar("Result")


class Nothing(msgspec.Struct, frozen=True):
    """There was nothing to do.

    Attributes:
        reason: Why, for programs.
        message: Why, for people: one sentence without a full stop.
        hint: What the person can do; "" if there is nothing.
    """

    reason: Literal[
        "never checked",
        "up to date",
        "already staged",
        "failed here",
        "removed here",
        "reopens fixes",
        "not its turn",
        "no longer offered",
        "nothing staged",
        "nothing to restart",
        "not installed",
        "not damaged",
    ]
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message

    @property
    def is_refusal(self) -> bool:
        """False if everything that was asked for is done already."""
        return self.reason not in ("up to date", "already staged", "not damaged")

    def as_error(self) -> NothingToDoError:
        """Return the error for a person who asked for the operation."""
        return NothingToDoError(self.message, hint=self.hint)


def require_done(result: Result | Nothing) -> Result:
    """Return the result of an operation that a person asked for.

    Raises:
        NothingToDoError: There was nothing to do.
    """
    if isinstance(result, Nothing):
        raise result.as_error()
    return result
