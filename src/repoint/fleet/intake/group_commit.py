"""Commit the reports of many requests in one transaction.

A commit waits for the disk. While it does, further requests gather, and share the next one. So a
lone request waits for one commit, and a thousand at once wait for two.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple

from repoint.fleet.outages import Outages
from repoint.fleet.stores.errors import DatabaseAwayError, TooManyNamesError
from repoint.fleet.stores.state import SqlState
from repoint.model.errors import RepointError
from repoint.model.report import Report

_GROUP: Final = 4096
"""Reports in one transaction."""

_QUEUE: Final = 32_768
"""Reports that wait. More could not be written before their senders give up."""


_WORK: Final = "_write"
"""What outages call it."""


class BusyError(RepointError):
    """More reports come than the database takes."""


class _Waiting(NamedTuple):
    reports: list[Report]
    done: asyncio.Future[None]


class GroupCommit:
    """The one writer of reports: its methods run in the event loop, its transactions beside it.

    Args:
        outages: What the collector does not have at present.
        notify: Called when reports cannot be written, and when they can be again, once each.
    """

    def __init__(
        self,
        state: SqlState,
        outages: Outages,
        notify: Callable[[str], None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._outages = outages
        self._notify = notify
        self._clock = clock
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="writer")
        self._closing = False
        self.queued = 0

    async def add(self, reports: list[Report]) -> None:
        """Take reports; when this returns, they are on disk.

        Raises:
            BusyError: Too many reports wait.
            DatabaseAwayError: The database does not answer.
            TooManyNamesError: The reports name new letters, and there is no room for them.
        """
        if self.queued + len(reports) > _QUEUE or self._closing:
            raise BusyError("More reports come than the database takes")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(reports, done))
        self.queued += len(reports)
        self._wake.set()
        await done

    async def run(self) -> None:
        """Write what waits, until `close` was called and nothing waits any more."""
        while self._waiting or not self._closing:
            if not self._waiting:
                self._wake.clear()
                await self._wake.wait()
                continue
            group = self._take()
            try:
                await self._write(group)
            finally:
                self.queued -= sum(len(one.reports) for one in group)
                for one in group:
                    if not one.done.done():
                        one.done.set_exception(DatabaseAwayError("The collector stops"))

    @property
    def fails(self) -> bool:
        """Whether the database did not take the last reports. It may still answer questions."""
        return self._outages.hinders(_WORK)

    def close(self) -> None:
        """Refuse further reports, and let `run` return when all others are written."""
        self._closing = True
        self._wake.set()

    def _take(self) -> list[_Waiting]:
        group: list[_Waiting] = []
        size = 0
        while self._waiting and (not group or size + len(self._waiting[0].reports) <= _GROUP):
            one = self._waiting.popleft()
            size += len(one.reports)
            group.append(one)
        return group

    async def _write(self, group: list[_Waiting]) -> None:
        try:
            await self._in_thread([report for one in group for report in one.reports])
        except TooManyNamesError as error:  # which says nothing about the database
            if len(group) == 1:
                _fail(group[0], error)
            else:
                for one in group:  # only those that are to blame are refused
                    await self._write([one])
        except RepointError as error:
            self._say(self._outages.failed(_WORK, error))
            for one in group:
                _fail(one, error)
        else:
            self._say(self._outages.succeeded(_WORK))
            for one in group:
                if not one.done.done():
                    one.done.set_result(None)

    def _say(self, text: str) -> None:
        if text:
            self._notify(text)

    async def _in_thread(self, reports: list[Report]) -> None:
        loop = asyncio.get_running_loop()
        now = int(self._clock())
        await loop.run_in_executor(self._thread, self._state.add, reports, now)


def _fail(one: _Waiting, error: RepointError) -> None:
    if not one.done.done():  # its request may have been cut off
        one.done.set_exception(error)
