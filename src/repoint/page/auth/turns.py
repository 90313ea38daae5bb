"""Whose request is worked on next, so that no account takes the time that others need."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable

from starlette.concurrency import run_in_threadpool

_AT_ONCE = 2
"""Requests of all accounts without privileges that are worked on at the same time."""


class Turns:
    """The turns of the accounts.

    A view takes tenths of a second of processor time, because it looks at every process. Accounts
    that may change something never wait. Of each other account, one request is worked on at a time,
    in the order of their arrival.

    Args:
        is_privileged: Whether an account may change something.
    """

    def __init__(self, is_privileged: Callable[[int], bool]) -> None:
        self._is_privileged = is_privileged
        self._own: dict[int, asyncio.Lock] = {}
        self._waiting: Counter[int] = Counter()
        self._all = asyncio.Semaphore(_AT_ONCE)

    @property
    def pending(self) -> int:
        """Requests of accounts without privileges that wait or are worked on."""
        return self._waiting.total()

    @contextlib.asynccontextmanager
    async def turn(self, uid: int) -> AsyncIterator[None]:
        """Wait for the turn of an account, and hold it while the block runs."""
        # Looking up an account may take long, for example if a server of the network is asked.
        if await run_in_threadpool(self._is_privileged, uid):
            yield
            return
        self._waiting[uid] += 1
        try:
            async with self._own.setdefault(uid, asyncio.Lock()), self._all:
                yield
        finally:
            self._waiting[uid] -= 1
            if not self._waiting[uid]:
                del self._waiting[uid], self._own[uid]
