"""The history file: one line for each event, oldest first."""

from __future__ import annotations

from pathlib import Path

import msgspec

from repoint.device.store.records import HistoryEntry
from repoint.fs.durable import append_durably


class History:
    """The history of one product."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def entries(self) -> list[HistoryEntry]:
        """Return all entries, oldest first. A line that a power cut truncated is skipped."""
        try:
            lines = self._path.read_bytes().splitlines()
        except FileNotFoundError:
            return []
        entries = []
        for line in lines:
            try:
                entries.append(msgspec.json.decode(line, type=HistoryEntry))
            except msgspec.DecodeError:
                continue
        return entries

    def add(self, entry: HistoryEntry) -> None:
        """Append an entry."""
        append_durably(self._path, msgspec.json.encode(entry))
