"""The page's own files in the device's store: sessions, passcode, attempts, socket.

Only the owner of the store may read them.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from repoint.device.errors import StoreBusyError
from repoint.device.os_errors import explained
from repoint.fs.durable import write_durably
from repoint.fs.lock import LockHeldError, exclusive_lock
from repoint.model.encoding import encode_record

Record = TypeVar("Record", bound=msgspec.Struct)

LOCK_WAIT = 10.0
"""Seconds to wait for another process that writes here; a write takes milliseconds."""

_TURNS: Final[dict[Path, threading.Lock]] = {}
"""A lock for the threads of this process, for each lock file."""


@dataclass(frozen=True)
class PageStore:
    """The page's folder in a device's store.

    Attributes:
        device_store: The folder of the device's store.
    """

    device_store: Path

    @property
    def folder(self) -> Path:
        """The page's folder."""
        return self.device_store / "page"

    @property
    def socket(self) -> Path:
        """The control socket, at which ``repoint settings`` requests a link."""
        return self.device_store / "page.sock"

    def read(self, name: str, kind: type[Record]) -> Record | None:
        """Read a record. None if it does not exist or is damaged."""
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Replace a record durably.

        Raises:
            StoreWriteError: The disk is full, or the account may not write.
        """
        with explained(f"write {self.folder / name}"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            write_durably(self.folder / name, encode_record(record), mode=0o600)

    @contextlib.contextmanager
    def locked(self, name: str = "lock") -> Iterator[None]:
        """Hold a lock of the page's folder. It is independent of the device store's lock.

        Args:
            name: The lock's file. Records that nothing changes together have locks of their own.

        Raises:
            StoreBusyError: Another process still held it after `LOCK_WAIT` seconds.
            StoreWriteError: The disk is full, or the account may not write.
        """
        with explained(f"write to {self.folder}"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
        path = self.folder / name
        busy = StoreBusyError(
            f"Another process is writing to {self.folder}", hint="Try again in a moment"
        )
        # The file's lock is polled, so that a thread could miss each moment in which it is free.
        turn = _TURNS.setdefault(path, threading.Lock())
        if not turn.acquire(timeout=LOCK_WAIT):
            raise busy
        try:
            with exclusive_lock(path, wait=LOCK_WAIT):
                yield
        except LockHeldError:
            raise busy from None
        finally:
            turn.release()
