"""Move reports from the spool to the store of events, merge each day, and forget.

A report leaves the spool only when the store has been read back and has it. Several collectors may
do all of this at once: they get the same reports from the spool, so they write the same file.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from repoint.fleet.events.file_names import DAY, EventFile, hour_file, readable_files
from repoint.fleet.events.objects import EventStoreError, ObjectStore
from repoint.fleet.events.parquet import UnreadableEventsError, from_lines, has_any, merged
from repoint.fleet.stores.spool import Spool

_HOUR: Final = 3600
_SETTLED: Final = 120
"""Seconds after an hour in which a transaction of that hour may still end."""

_CHUNK: Final = 200_000
"""Reports in one file."""


class Archive:
    """The store of events, as the collector fills it."""

    def __init__(self, spool: Spool, objects: ObjectStore, *, chunk: int = _CHUNK) -> None:
        self._spool = spool
        self._objects = objects
        self._chunk = chunk

    def export(self, now: int) -> int:
        """Move the reports of the hours that are over to the store; return how many files.

        Raises:
            EventStoreError: The store does not do its part; the reports stay in the spool.
            DatabaseAwayError: The database does not answer.
        """
        before = (now - _SETTLED) // _HOUR
        number = 0
        while (chunk := self._spool.next_chunk(before, self._chunk)) is not None:
            data = from_lines(chunk.lines, self._spool.forgotten())
            self._store(hour_file(chunk.hour, chunk.first, chunk.last).name, data)
            self._spool.drop(chunk)
            number += 1
        return number

    def compact(self, now: int) -> int:
        """Merge the files of each day that is over into one; return how many days.

        Raises:
            EventStoreError: The store does not do its part; all events are still there.
            DatabaseAwayError: The database does not answer.
        """
        kept, covered = readable_files(self._objects.names())
        for file in covered:
            self._objects.delete(file.name)
        # What still waits could belong to a day: its file would come after the merged one.
        oldest = self._spool.waiting().oldest
        end = min(now - _SETTLED, now if oldest is None else oldest * _HOUR)
        today = datetime.fromtimestamp(end, UTC).date()
        number = 0
        trouble: EventStoreError | None = None
        for day in sorted({file.date for file in kept if file.date < today}):
            files = [file for file in kept if file.date == day]
            if len(files) > 1 or files[0].part != DAY:
                try:
                    self._merge(files)
                    number += 1
                except UnreadableEventsError as error:  # the other days are merged all the same
                    trouble = _named(error, f"of {day}")
        if trouble is not None:
            raise trouble
        return number

    def forget(self) -> int:
        """Remove the events of deleted ids from all files; return how many were rewritten.

        Raises:
            EventStoreError: The store does not do its part; it is asked again next time.
            DatabaseAwayError: The database does not answer.
        """
        forgotten = self._spool.forgotten()
        if not forgotten:
            return 0
        number = 0
        trouble: EventStoreError | None = None
        for file in readable_files(self._objects.names())[0]:
            data = self._objects.read(file.name)
            try:
                if has_any(data, forgotten):
                    self._objects.replace(file.name, merged([data], forgotten))
                    number += 1
            except UnreadableEventsError as error:
                trouble = _named(error, f"in {file.name}")
        if trouble is not None:
            raise trouble
        # What waits may have events of these ids, and is written without them as long as their
        # deletions are known.
        oldest = self._spool.waiting().oldest
        latest = max(forgotten.values())
        self._spool.drop_forgotten(latest if oldest is None else min(latest, oldest * _HOUR - 1))
        return number

    def expire(self, now: int, days: int) -> int:
        """Delete the files of days that are longer ago than that; return how many."""
        limit = datetime.fromtimestamp(now, UTC).date() - timedelta(days=days)
        kept, covered = readable_files(self._objects.names())
        old = [file for file in (*kept, *covered) if file.date < limit]
        for file in old:
            self._objects.delete(file.name)
        return len(old)

    def _merge(self, files: list[EventFile]) -> None:
        data = merged([self._objects.read(file.name) for file in files], {})
        whole = EventFile(
            files[0].date, DAY, min(file.first for file in files), max(file.last for file in files)
        )
        self._store(whole.name, data)
        for file in files:
            if file != whole:
                self._objects.delete(file.name)

    def _store(self, name: str, data: bytes) -> None:
        """Store a file, and read it back: only then may its source go."""
        if not self._objects.create(name, data) and self._objects.read(name) != data:
            # Half a file of an interrupted attempt, or of another version of the writer.
            self._objects.replace(name, data)
        if self._objects.read(name) != data:
            raise EventStoreError(
                f"The store of events returns another content of {name} than it was given",
                hint="Events wait in the database until it works again",
            )


def _named(error: UnreadableEventsError, where: str) -> EventStoreError:
    return UnreadableEventsError(f"{error.message} ({where})", hint=error.hint)
