"""How much work the census does for the processes of each account.

An account can keep ten thousands of processes, and in each of them as many mapped and open files.
To look at all of them would take as long as it likes. So the census works a bounded time for each
account that is neither root nor the owner of the store, and for all of them together. What it has
not looked at by then counts as not known.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Iterator

PER_ACCOUNT = 2.0
"""Seconds of processor time for the processes of one account: enough for two thousand of them."""

ALL_ACCOUNTS = 6.0
"""Seconds for those of all accounts; one account can have the numbers of many (subuid(5))."""

MOST_BYTES = 64 << 20
"""Bytes of memory maps, arguments and variables that are held for one account."""


class ExhaustedError(Exception):
    """The allowance of an account is used up."""


class Allowance:
    """What is left for one account.

    Args:
        seconds: Processor time.
        size: Bytes.
        clock: Returns the processor time of this thread, in seconds.
    """

    def __init__(self, seconds: float, size: int, clock: Callable[[], float]) -> None:
        self.seconds, self.size = seconds, size
        self._clock = clock
        self._until = 0.0

    def start(self, seconds: float) -> None:
        """Begin to count; raises `ExhaustedError` if nothing is left."""
        self._until = self._clock() + min(seconds, self.seconds)
        self.require()

    def require(self, size: int = 0) -> None:
        """Take some bytes.

        Raises:
            ExhaustedError: There are not as many, or the time is over.
        """
        self.size -= size
        if self.size < 0 or self._clock() >= self._until:
            raise ExhaustedError


class Allowances:
    """The allowances of all accounts.

    Args:
        unbounded: The accounts whose processes are all looked at.
        clock: Returns the processor time of this thread, in seconds.
    """

    def __init__(
        self, unbounded: Collection[int], clock: Callable[[], float] = time.thread_time
    ) -> None:
        self._unbounded = unbounded
        self._clock = clock
        self._of: dict[int, Allowance] = {}
        self._left = ALL_ACCOUNTS

    @contextlib.contextmanager
    def of(self, user: int) -> Iterator[Callable[[int], None]]:
        """Work for a process of an account.

        Yields:
            A function that takes bytes of the allowance, and raises `ExhaustedError` if it is used
            up. It is called now and then during the work.

        Raises:
            ExhaustedError: It is used up already.
        """
        if user in self._unbounded:
            yield lambda size: None
            return
        allowance = self._of.setdefault(user, Allowance(PER_ACCOUNT, MOST_BYTES, self._clock))
        started = self._clock()
        try:
            allowance.start(self._left)
            yield allowance.require
        finally:
            spent = self._clock() - started
            allowance.seconds -= spent
            self._left -= spent
