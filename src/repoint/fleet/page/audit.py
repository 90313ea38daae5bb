"""The audit log: who changed which rollout, when and why.

Each change has two lines: one before it is made, and one with its result. So a change is never
without a line, whenever the machine stops.
"""

from __future__ import annotations

import os
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import msgspec

from repoint.fs.durable import append_durably
from repoint.fs.regular import open_regular
from repoint.model.errors import RepointError

Action = Literal["pause", "resume", "promote", "halt"]

_SHOWN_BYTES = 256 << 10
"""Bytes at the end of the file that a page reads: about a thousand changes."""


class AuditError(RepointError):
    """The audit log cannot be written, so nothing is changed, or it cannot be read."""


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A change.

    Attributes:
        id: Identifies the change.
        when: Seconds since 1970.
        who: The person.
        by: What the person signed in with: an ``account`` or the OpenID ``provider``; or ``guard``.
        action: What the person did.
        subject: What identifies the person at the provider (the claim ``sub``); empty for an
            account. Names there change hands.
        reason: Why; may be empty.
        result: ``done``, the message of the error that refused it, or empty while it is not known.
    """

    id: str
    when: int
    who: str
    by: str
    action: Action
    product: str
    label: str
    platform: str
    reason: str = ""
    result: str = ""
    subject: str = ""


class Audit:
    """The audit log of a page.

    Args:
        path: The file: one JSON object a line.
        clock: Returns seconds since 1970.
    """

    def __init__(self, path: Path, clock: Callable[[], float]) -> None:
        self._path = path
        self._clock = clock
        self._lock = threading.Lock()

    @contextmanager
    def recorded(self, entry: Entry) -> Iterator[None]:
        """Record a change, make it in the block, and record its result.

        Raises:
            AuditError: The log cannot be written.
        """
        entry = msgspec.structs.replace(entry, id=secrets.token_hex(8), when=int(self._clock()))
        self._append(entry)
        try:
            yield
        except RepointError as error:
            self._append(msgspec.structs.replace(entry, result=error.message))
            raise
        except BaseException:
            self._append(msgspec.structs.replace(entry, result="failed"))
            raise
        self._append(msgspec.structs.replace(entry, result="done"))

    def entries(self, product: str | None = None) -> list[Entry]:
        """Return the changes, newest first, each with its result.

        Raises:
            AuditError: The log cannot be read.
        """
        entries: dict[str, Entry] = {}
        for line in self._tail():
            try:
                entry = msgspec.json.decode(line, type=Entry)
            except msgspec.DecodeError:
                continue  # cut off by a power failure, or at the start of what is read
            if product in (None, entry.product):
                entries[entry.id] = entry
        return list(reversed(entries.values()))

    def _append(self, entry: Entry) -> None:
        with self._lock:
            try:
                self._path.parent.mkdir(mode=0o700, exist_ok=True)
                append_durably(self._path, msgspec.json.encode(entry))
            except OSError as error:
                raise AuditError(
                    f"The audit log {self._path} cannot be written: {error.strerror}",
                    hint="Correct that; the page changes nothing that it cannot record",
                ) from error

    def _tail(self) -> list[bytes]:
        try:
            with open(open_regular(self._path, os.O_RDONLY), "rb") as file:
                size = file.seek(0, 2)
                file.seek(max(0, size - _SHOWN_BYTES))
                return file.read().split(b"\n")
        except FileNotFoundError:
            return []
        except OSError as error:
            raise AuditError(
                f"The audit log {self._path} cannot be read: {error.strerror}",
                hint="Correct that; until then, the page changes nothing",
            ) from error
