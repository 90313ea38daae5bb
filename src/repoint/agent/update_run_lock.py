"""The lock that allows one update run at a time."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from repoint.device.store.store_lock import store_file_lock
from repoint.fs.lock import LockHeldError
from repoint.model.errors import RepointError


class UpdateRunActiveError(RepointError):
    """Another update run is active; a second one is not needed."""


class UpdateRunStuckError(RepointError):
    """Another update run has been active for so long that several could not start."""


@contextlib.contextmanager
def update_run_lock(store: Path) -> Iterator[None]:
    """Hold the lock that allows one update run at a time.

    The kernel releases it when the process ends.

    Raises:
        UpdateRunActiveError: Another update run is active.
        StoreWriteError: The caller may not change the store.
    """
    try:
        with store_file_lock(store, "agent.lock"):
            yield
    except LockHeldError:
        raise UpdateRunActiveError(
            "Another update run is active", hint="Wait for it; it covers every product"
        ) from None
