"""The kind of failure that a report names for an error of the device."""

from __future__ import annotations

from repoint.device.errors import (
    CancelledError,
    CannotPrepareError,
    HealthCheckError,
    NetworkSettingsError,
    NoNetworkError,
    NoSpaceError,
    NotApplicableError,
    NotEnrolledError,
    NothingToDoError,
    NotTrustedError,
    PolicyForbidsError,
    StoreBusyError,
    StoreDamagedError,
    StoreWriteError,
)
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.report import Failure

_KINDS: tuple[tuple[type[RepointError], Failure], ...] = (
    (NoNetworkError, "network"),
    (NetworkSettingsError, "network"),
    (NoSpaceError, "space"),
    (StoreBusyError, "busy"),
    (NotTrustedError, "untrusted"),
    (NotApplicableError, "unfit"),
    (InvalidRecordError, "unfit"),
    (CannotPrepareError, "decode"),
    (StoreWriteError, "write"),
    (StoreDamagedError, "changed"),
    (HealthCheckError, "health"),
)
"""The first type that fits counts: some are subclasses of later ones."""

_NONE = (CancelledError, NotEnrolledError, NothingToDoError, PolicyForbidsError)
"""What a person or an administrator wanted is no failure."""


def failure_of(error: RepointError) -> Failure | None:
    """Return the kind of failure, or None if the error is no failure of an improvement."""
    if isinstance(error, _NONE):
        return None
    return next((kind for type_, kind in _KINDS if isinstance(error, type_)), "other")
