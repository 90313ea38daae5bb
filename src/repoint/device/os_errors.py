"""Refusals of the operating system, turned into errors that say what to do."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from repoint.device.errors import StoreWriteError

NOTHING_CHANGED = "nothing was changed"
COMPLETED_NEXT = "the next command finishes what was begun, or undoes it"


@contextlib.contextmanager
def explained(doing: str, outcome: str = NOTHING_CHANGED) -> Iterator[None]:
    """Turn the operating system's refusals into an error that says what to do.

    Args:
        doing: What was being done, as in "prepare 26.3.1 (a)".
        outcome: What has become of it; ``COMPLETED_NEXT`` from the commit point on.

    Raises:
        CannotWriteError: The disk is full, or the person has no right to write there.
    """
    try:
        yield
    except OSError as error:
        # Of two names, the first is what a link points to or a rename starts from.
        place = error.filename2 or error.filename
        where = f" at {place}" if place else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise StoreWriteError(
                f"The disk is full: could not {doing}{where}",
                hint=f"Free some space and try again; {outcome}",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise StoreWriteError(
                f"No right to {doing}{where}",
                hint=f"Run it as the user who owns it, or as root{_unless_nothing(outcome)}",
            ) from error
        raise StoreWriteError(
            f"Could not {doing}{where}: {os.strerror(error.errno or 0)}",
            hint=f"Try again; {outcome}",
        ) from error


def _unless_nothing(outcome: str) -> str:
    return "" if outcome == NOTHING_CHANGED else f"; {outcome}"
