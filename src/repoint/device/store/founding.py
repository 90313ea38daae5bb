"""A store that a refused enrolment has begun to make, and that must not be left behind."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from repoint.device.store.store_lock import store_file_lock
from repoint.fs.lock import LockHeldError
from repoint.model.errors import RepointError

_FILES = ("policy.json", "lock")
_FOLDERS = ("products", "trees", "verified")


@contextlib.contextmanager
def founding(store: Path) -> Iterator[None]:
    """Remove what the block has made of a store if the block fails and enrols nothing.

    What was there before stays. Nothing is removed while another command works on the store.
    """
    missing = [folder for folder in (store, *store.parents) if not os.path.lexists(folder)]
    before = set(os.listdir(store)) if store.is_dir() else set()
    try:
        yield
    except BaseException:
        with contextlib.suppress(OSError, RepointError, LockHeldError):
            _withdraw(store, before)
        for folder in missing:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise


def _withdraw(store: Path, before: set[str]) -> None:
    if not store.is_dir() or "lock" in before:
        return
    with store_file_lock(store, "lock"):
        if any((store / "products").glob("*")):
            return
        for name in _FOLDERS:
            if name not in before:
                with contextlib.suppress(OSError):
                    (store / name).rmdir()
        # The lock goes last, while it is held: who waits for it sees that it is gone.
        for name in _FILES:
            if name not in before:
                (store / name).unlink(missing_ok=True)
