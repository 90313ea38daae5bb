"""The history file: one line for each event, oldest first."""

from __future__ import annotations

from pathlib import Path

import msgspec

from repoint.device.errors import StoreDamagedError
from repoint.device.store.records import Actor, HistoryEntry
from repoint.fs.durable import append_durably
from repoint.fs.regular import NotAFileError, read_regular


class History:
    """The history of one product.

    Args:
        path: The file.
        actor: Who causes the changes that `add` records.
    """

    def __init__(self, path: Path, actor: Actor) -> None:
        self._path = path
        self._actor = actor

    def entries(self) -> list[HistoryEntry]:
        """Return all entries, oldest first. A line that a power cut truncated is skipped.

        Raises:
            StoreDamagedError: Something else is in the place of the file.
        """
        try:
            lines = read_regular(self._path).splitlines()
        except FileNotFoundError:
            return []
        except NotAFileError:
            raise StoreDamagedError(
                f"{self._path} is damaged: it is not a file", hint="Remove it; a new one begins"
            ) from None
        entries = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=HistoryEntry))
            except msgspec.DecodeError:
                continue
        return entries

    def add(self, entry: HistoryEntry) -> None:
        """Append an entry about what was just done, with who caused it."""
        if not entry.by:
            by, account = self._actor.by, self._actor.account
            entry = msgspec.structs.replace(entry, by=by, account=account)
        self.add_found(entry)

    def add_found(self, entry: HistoryEntry) -> None:
        """Append an entry about what was found on disk; who caused it may be unknown."""
        append_durably(self._path, msgspec.json.encode(entry))
