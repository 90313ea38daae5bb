"""What the collector needs and does not have at present, and what to say when that changes.

A state machine without I/O. An outage is said when it begins, when another cause is found, and when
it is over: not at each attempt.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from repoint.fleet.events.objects import EventStoreError
from repoint.fleet.events.parquet import UnreadableEventsError
from repoint.fleet.stores.errors import DatabaseAwayError
from repoint.model.errors import RepointError
from repoint.model.printable import one_line

_CAUSES: Final = 5
"""Causes of one outage that are said. Some servers give another text at each attempt."""

_BACK: Final = {
    "database": "The database answers again",
    "events": "The store of events works again",
    "_read_advisories": "The repository can be read again",
}


@dataclass
class _Outage:
    works: set[str] = field(default_factory=set)
    said: set[str] = field(default_factory=set)


class Outages:
    """The outages at present."""

    def __init__(self) -> None:
        self._outages: dict[str, _Outage] = {}

    def failed(self, work: str, error: Exception) -> str:
        """Note that a work has failed; return what to say, or nothing if that was said."""
        subject = _subject(work, error)
        self._forget_elsewhere(work, subject)
        outage = self._outages.setdefault(subject, _Outage())
        outage.works.add(work)
        trouble = _trouble(error)
        if trouble in outage.said or len(outage.said) >= _CAUSES:
            return ""
        outage.said.add(trouble)
        return trouble

    def succeeded(self, work: str) -> str:
        """Note that a work has succeeded; return what to say, or nothing if all was well."""
        return " ".join(self._forget_elsewhere(work, ""))

    def hinders(self, work: str) -> bool:
        """Return whether a work failed when it was last tried."""
        return any(work in outage.works for outage in self._outages.values())

    def concerns(self, work: str) -> bool:
        """Return whether a work waits for the database or the store, and should be tried soon."""
        return any(work in self._outages[name].works for name in _BACK if name in self._outages)

    def _forget_elsewhere(self, work: str, subject: str) -> list[str]:
        """Note that a work is hindered by one subject only; return what is over by that."""
        over = []
        for name, outage in list(self._outages.items()):
            if name != subject and work in outage.works:
                outage.works.discard(work)
                if not outage.works:
                    del self._outages[name]
                    over.append(_BACK.get(name, ""))
        return [text for text in over if text]


def _subject(work: str, error: Exception) -> str:
    if isinstance(error, DatabaseAwayError):
        return "database"
    # A file that is damaged says nothing about the store.
    if isinstance(error, EventStoreError) and not isinstance(error, UnreadableEventsError):
        return "events"
    return work


def _trouble(error: Exception) -> str:
    if isinstance(error, RepointError):
        return str(error)
    reason = one_line(str(error)).strip()[:200] or type(error).__name__
    return f"Upkeep failed: {reason}. It is tried again"
