"""The root of every error that a person may see."""

from __future__ import annotations


class RepointError(Exception):
    """Something went wrong that a person can understand and act on.

    Attributes:
        message: One line: what is wrong, and where.
        hint: What to do next, one line; empty where there is nothing to do.
    """

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}. {self.hint}" if self.hint else self.message


class InvalidRecordError(RepointError):
    """A record (baseline, improvement, catalog, advisory) is not what the format says."""


class NameNotAllowedError(RepointError):
    """A name, version, letter or path has a form that Repoint does not allow."""
