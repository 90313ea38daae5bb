"""What can go wrong on a device, each with what the person should do next."""

from __future__ import annotations

from repoint.model.errors import RepointError


class NotEnrolledError(RepointError):
    """Nothing is enrolled here, or not the product that was named."""


class EnrolmentRefusedError(RepointError):
    """What stands at a graft point is not what the baseline says, or cannot be taken over."""


class StoreBusyError(RepointError):
    """Another command is changing the store."""


class StoreDamagedError(RepointError):
    """The store holds something that Repoint did not put there."""


class StoreWriteError(RepointError):
    """The disk is full, or the person has no right to write."""


class NoNetworkError(RepointError):
    """The repository cannot be reached."""


class NotTrustedError(RepointError):
    """What the repository serves is not signed, not whole or not current."""


class StaleRepositoryError(NotTrustedError):
    """The repository serves an older state than this device has seen, or one that has expired."""


class NotApplicableError(RepointError):
    """The improvement does not fit this device."""


class CannotPrepareError(RepointError):
    """The decoding process could not finish: memory, time or disk."""


class NothingToDoError(RepointError):
    """There is nothing to install, activate or remove."""


class CancelledError(RepointError):
    """The person stopped it. What was downloaded is kept."""


class StillRunningError(RepointError):
    """Programs run from the component, so that it cannot be switched now."""


class NotStartedError(RepointError):
    """A program that a restart closed could not be started again."""


class SupersededError(RepointError):
    """What was active no longer fits what lies below it, and was taken away."""


class HealthCheckError(RepointError):
    """A letter failed on this device, and what ran before is active again."""


class PolicyForbidsError(RepointError):
    """The administrator's policy does not allow it; the message names the file."""
