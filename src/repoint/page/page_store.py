"""Where the page keeps what it must remember, in the store, for its owner's eyes only."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from repoint.device.os_errors import explained
from repoint.fs.durable import write_durably
from repoint.model.encoding import encode_record

Record = TypeVar("Record", bound=msgspec.Struct)


@dataclass(frozen=True)
class PageStore:
    """The page's folder in a store.

    Attributes:
        store: The store's folder.
    """

    store: Path

    @property
    def folder(self) -> Path:
        """The folder."""
        return self.store / "page"

    @property
    def socket(self) -> Path:
        """Where `repoint settings` asks for a link; systemd or the server listens there."""
        return self.store / "page.sock"

    def read(self, name: str, kind: type[Record]) -> Record | None:
        """A record, or nothing where there is none. A damaged one is as good as none."""
        try:
            return msgspec.json.decode((self.folder / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def write(self, name: str, record: msgspec.Struct) -> None:
        """Replace a record durably.

        Raises:
            CannotWriteError: The disk is full, or the person has no right to write.
        """
        with explained(f"write {self.folder / name}"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            write_durably(self.folder / name, encode_record(record), mode=0o600)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Let nobody else read and write at the same time; not the store's lock."""
        with explained(f"write to {self.folder}"):
            self.folder.mkdir(mode=0o700, exist_ok=True)
            descriptor = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)
