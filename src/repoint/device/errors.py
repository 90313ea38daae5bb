"""The errors of a device. Each carries a hint: what the person should do next."""

from __future__ import annotations

from repoint.model.errors import RepointError


class NotEnrolledError(RepointError):
    """The named product, or any product, is not enrolled."""


class EnrolmentRefusedError(RepointError):
    """The tree at a graft point is not the baseline's, or cannot be taken over."""


class StoreBusyError(RepointError):
    """Another command holds the store's lock."""


class StoreDamagedError(RepointError):
    """A file of the store is missing or damaged, or another account could change it."""


class StoreWriteError(RepointError):
    """The store cannot be written: the disk is full, or the person lacks the right."""


class NoSpaceError(StoreWriteError):
    """The disk is full, or has not enough space for an improvement."""


class NoNetworkError(RepointError):
    """The repository cannot be reached."""


class TryLaterError(NoNetworkError):
    """The repository, or the network in between, asks to try again later.

    Attributes:
        after: The seconds to wait that it asks for; 0 if it says nothing. Nobody has signed it.
    """

    def __init__(self, message: str, *, hint: str = "", after: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.after = after


class NetworkSettingsError(RepointError):
    """The network settings, or a file or variable that they name, cannot be used."""


class NotTrustedError(RepointError):
    """The repository's content is not signed by a trusted key, incomplete, or out of date."""


class StaleRepositoryError(NotTrustedError):
    """The repository's metadata is older than what this device has, or has expired."""


class NotApplicableError(RepointError):
    """The improvement does not fit this device."""


class CannotPrepareError(RepointError):
    """The decoder could not finish: it ran out of memory, time or disk space."""


class NothingToDoError(RepointError):
    """A person asked for an operation that has nothing to do; see `outcomes.Nothing`."""


class CancelledError(RepointError):
    """The person cancelled the operation. Downloads are kept."""


class StillRunningError(RepointError):
    """Programs run from a component, so it cannot be switched now."""


class NotStartedError(RepointError):
    """A program that a restart closed could not be started again."""


class SupersededError(RepointError):
    """The active layer no longer fits the system below it, and was unmerged."""


class HealthCheckError(RepointError):
    """A letter failed on this device and was rolled back."""


class PolicyForbidsError(RepointError):
    """The administrator's policy does not allow it; the message names the file."""
