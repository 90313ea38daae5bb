"""The base of all errors that a person may see."""

from __future__ import annotations


class RepointError(Exception):
    """An error that a person can understand and act on.

    Attributes:
        message: What is wrong and where, in one line.
        hint: What to do next, in one line; empty if nothing can be done.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class InvalidRecordError(RepointError):
    """A record (baseline, improvement, catalog, advisory) does not follow the format."""


class NameNotAllowedError(RepointError):
    """Repoint does not allow a name, version, letter or path of that form."""
