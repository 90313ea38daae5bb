"""What the collector does from time to time: move events to their store, merge, forget."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from repoint.fleet.advisories.source import Advisories
from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import ObjectStore
from repoint.fleet.outages import Outages
from repoint.fleet.stores.state import SqlState

_EVERY_MINUTE: Final = 60.0
_EVERY_HOUR: Final = 3600.0
_ADVISORIES: Final = 60
"""Seconds for which the advisories are not read again."""


@dataclass
class Upkeep:
    """What is done from time to time, each part in a thread.

    Attributes:
        archive: The store of events; None if events are not kept.
        advisories: What letters fix; None if nobody says so.
        days: Days after which an id of which nothing was heard, and an event, are forgotten.
        notify: Called with what went wrong and with what works again, once each.
        objects: The files of the store of events; None if events are not kept.
        outages: What the collector does not have at present. Other parts of it may say so, too.
    """

    state: SqlState
    archive: Archive | None
    advisories: Advisories | None
    days: int
    notify: Callable[[str], None]
    objects: ObjectStore | None = None
    outages: Outages = field(default_factory=Outages)
    _store_seen: bool = False
    _advisories_read: int = 0

    async def run(self) -> None:
        """Work until the task is cancelled."""
        last = 0.0
        while True:
            # First, because until then made-up names are not told from the vendor's.
            await self._attempt(self._read_advisories)
            await self._attempt(self._ask_database)
            await self._attempt(self._ask_store)
            await self._attempt(self._export)
            due = time.monotonic() - last >= _EVERY_HOUR or not last
            last = time.monotonic() if due else last
            for work in (self._prune, self._compact, self._forget, self._expire):
                if due or self.outages.concerns(work.__name__):
                    await self._attempt(work)
            await asyncio.sleep(_EVERY_MINUTE)

    async def _attempt(self, work: Callable[[int], None]) -> None:
        try:
            await asyncio.to_thread(work, int(time.time()))
        except Exception as error:  # whatever fails, the other work goes on, and it is tried again
            said = self.outages.failed(work.__name__, error)
        else:
            said = self.outages.succeeded(work.__name__)
        if said:
            self.notify(said)

    def _ask_database(self, now: int) -> None:
        """Ask the database anything, so that an outage is noticed when no report comes."""
        self.state.received(now)

    def _ask_store(self, _: int) -> None:
        """Ask the store of events anything at the start, so that wrong settings are noticed then.

        It is asked until it has answered once. Later, the other work notices an outage.
        """
        if self.objects is not None and not self._store_seen:
            self.objects.names()
            self._store_seen = True

    def _export(self, now: int) -> None:
        if self.archive is not None:
            self.archive.export(now)

    def _read_advisories(self, now: int) -> None:
        if self.advisories is not None and now - self._advisories_read >= _ADVISORIES:
            self.advisories.read()
            self._advisories_read = now

    def _prune(self, now: int) -> None:
        self.state.prune(now, self.days)

    def _compact(self, now: int) -> None:
        if self.archive is not None:
            self.archive.compact(now)

    def _forget(self, _: int) -> None:
        if self.archive is not None:
            self.archive.forget()

    def _expire(self, now: int) -> None:
        if self.archive is not None:
            self.archive.expire(now, self.days)
