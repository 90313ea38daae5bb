"""Errors of the guard."""

from __future__ import annotations

from repoint.model.errors import RepointError


class GuardError(RepointError):
    """The base of the errors of the guard."""


class SecondGuardError(GuardError):
    """Another guard watches the repository."""


class ChangedMeanwhileError(GuardError):
    """A person has changed the rollout since the reports were judged."""


class WrongClockError(GuardError):
    """The clock of this machine is wrong."""


class NotificationError(GuardError):
    """A message could not be delivered."""
