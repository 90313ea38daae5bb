"""Turning errors of the operating system into ours, which say what to do next."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

from repoint.device.errors import NoSpaceError, StoreDamagedError, StoreWriteError
from repoint.fs.regular import NotAFileError
from repoint.model.errors import RepointError

Troubles = dict[str, RepointError]
"""The error of each product with which something failed."""

NOTHING_CHANGED = "nothing was changed"
COMPLETED_NEXT = "the next command completes it or undoes it"


@contextlib.contextmanager
def explained(action: str, outcome: str = NOTHING_CHANGED) -> Iterator[None]:
    """Turn an OSError of the block into a StoreWriteError.

    Args:
        action: What the block does, for example "prepare 26.3.1 (a)".
        outcome: What follows from the failure; ``COMPLETED_NEXT`` from the commit point on.

    Raises:
        StoreWriteError: The disk is full, or the person lacks the right to write.
        StoreDamagedError: Something else is in the place of a file.
    """
    try:
        yield
    except OSError as error:
        # If there are two paths, the first is the target of a link or the source of a rename.
        path = error.filename2 or error.filename
        where = f" at {path}" if path else ""
        if isinstance(error, NotAFileError):
            raise StoreDamagedError(
                f"{path} is damaged: it is not a file", hint="Remove it, then try again"
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpaceError(
                f"The disk is full: could not {action}{where}",
                hint=f"Free some space and try again; {outcome}",
            ) from error
        if error.errno == errno.EROFS:
            raise StoreWriteError(
                f"The file system is read-only: could not {action}{where}",
                hint=f"Make it writable, or name a place that is{_unless_nothing(outcome)}",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM):
            raise StoreWriteError(
                f"No right to {action}{where}",
                hint=f"Run it as the user who owns it, or as root{_unless_nothing(outcome)}",
            ) from error
        raise StoreWriteError(
            f"Could not {action}{where}: {os.strerror(error.errno or 0)}",
            hint=f"Try again; {outcome}",
        ) from error


@contextlib.contextmanager
def isolated(product: str, troubles: Troubles) -> Iterator[None]:
    """Record the error of the block, which concerns one product, so that others are served too."""
    try:
        with explained(f"work on {product}", COMPLETED_NEXT):
            yield
    except RepointError as error:
        troubles[product] = error


def _unless_nothing(outcome: str) -> str:
    return "" if outcome == NOTHING_CHANGED else f"; {outcome}"
