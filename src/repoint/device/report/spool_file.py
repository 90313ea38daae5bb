"""The spool on disk: one private file, replaced as a whole, in a private folder."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import msgspec

from repoint.device.errors import StoreBusyError
from repoint.device.os_errors import COMPLETED_NEXT, explained
from repoint.device.report.spool import Spool
from repoint.device.store.files import read_note
from repoint.device.store.product_state import ProductState
from repoint.fs.durable import make_folder, sync_folder, write_durably
from repoint.fs.lock import LockHeldError, exclusive_lock

_LOCK_WAIT = 5.0
"""Seconds to wait for another process that writes here; a write takes milliseconds."""


class Membership(msgspec.Struct, frozen=True):
    """The id of a device in a managed fleet: see `model.report_ids`."""

    device: str


class SpoolFile:
    """The reports of one product on disk.

    The folder has a lock of its own, so that a request to a fleet holds up no other command.

    Args:
        state: The product.
    """

    def __init__(self, state: ProductState) -> None:
        self.folder = state.path / "reports"
        self._path = self.folder / "spool.json"
        self._membership = self.folder / "fleet.json"

    def read(self) -> Spool:
        """Return what is on disk; an empty spool if there is none, or if it is damaged."""
        return read_note(self._path, Spool) or Spool()

    def device(self) -> str:
        """Return the id of the device in its fleet; "" if it was enrolled without a token."""
        membership = read_note(self._membership, Membership)
        return membership.device if membership is not None else ""

    def set_device(self, device: str) -> None:
        """Write the id of the device in its fleet."""
        with explained(f"write {self._membership}"):
            make_folder(self.folder, mode=0o700)
            write_durably(self._membership, msgspec.json.encode(Membership(device)), mode=0o600)

    @contextlib.contextmanager
    def changing(self) -> Iterator[Change]:
        """Hold the lock, and write what the block has made of the spool.

        Raises:
            StoreBusyError: Another process still held the lock after some seconds.
            StoreWriteError: The disk is full, or the account may not write.
        """
        with explained(f"write to {self.folder}", COMPLETED_NEXT):
            make_folder(self.folder, mode=0o700)
            try:
                with exclusive_lock(self.folder / "lock", wait=_LOCK_WAIT):
                    before = self.read()
                    change = Change(before)
                    yield change
                    if change.spool != before:
                        self._write(change.spool)
            except LockHeldError:
                raise StoreBusyError(
                    f"Another process is writing to {self.folder}", hint="Try again in a moment"
                ) from None

    def _write(self, spool: Spool) -> None:
        if spool.is_needed:
            write_durably(self._path, msgspec.json.encode(spool), mode=0o600)
        else:
            self._path.unlink(missing_ok=True)
            sync_folder(self.folder)


class Change:
    """The spool while it is being changed."""

    def __init__(self, spool: Spool) -> None:
        self.spool = spool
