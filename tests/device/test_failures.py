"""Which kind of failure a report names for an error of the device."""

from __future__ import annotations

import errno
from typing import get_args

import pytest

from repoint.device import errors
from repoint.device.os_errors import explained
from repoint.device.report.failures import failure_of
from repoint.model.errors import InvalidRecordError, RepointError
from repoint.model.report import TRANSIENT, Failure

EXPECTED: dict[type[RepointError], Failure | None] = {
    errors.NoNetworkError: "network",
    errors.TryLaterError: "network",
    errors.NetworkSettingsError: "network",
    errors.NoSpaceError: "space",
    errors.StoreBusyError: "busy",
    errors.NotTrustedError: "untrusted",
    errors.StaleRepositoryError: "untrusted",
    errors.NotApplicableError: "unfit",
    InvalidRecordError: "unfit",
    errors.CannotPrepareError: "decode",
    errors.StoreWriteError: "write",
    errors.StoreDamagedError: "changed",
    errors.HealthCheckError: "health",
    errors.StillRunningError: "other",
    errors.CancelledError: None,
    errors.PolicyForbidsError: None,
    errors.NotEnrolledError: None,
    errors.NothingToDoError: None,
}


@pytest.mark.parametrize("error", EXPECTED)
def test_an_error_has_its_kind(error: type[RepointError]) -> None:
    assert failure_of(error("what is wrong")) == EXPECTED[error]


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        (errno.ENOSPC, "space"),
        (errno.EDQUOT, "space"),
        (errno.EIO, "write"),
        (errno.EACCES, "write"),
        (errno.EROFS, "write"),
    ],
)
def test_a_full_disk_is_no_fault_of_the_letter(number: int, kind: Failure) -> None:
    with pytest.raises(errors.StoreWriteError) as caught, explained("write"):
        raise OSError(number, "it fails")
    assert failure_of(caught.value) == kind
    assert (kind in TRANSIENT) == (kind == "space")


def test_every_kind_but_that_of_a_start_comes_from_an_error() -> None:
    # The mark of a trial shows that a start of the machine was cut off.
    assert {kind for kind in EXPECTED.values() if kind} == set(get_args(Failure)) - {"start"}
