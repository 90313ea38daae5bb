"""How often something may be done. A state machine without I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict

PER_MINUTE = 240
"""Requests of a person. An open page sends three a minute, and a person clicks a few times."""


class Budget:
    """What each name has done lately, as a bucket that empties with time.

    Args:
        most: What a name may do at once, and again in as many seconds as follow.
        seconds: The time in which a full bucket empties.
        names: Names that are remembered. Those that did nothing for the longest time are forgotten.
    """

    def __init__(self, most: int, seconds: float, names: int) -> None:
        self._most = most
        self._rate = most / seconds
        self._names = names
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, now: float) -> int:
        """Count one more. Return the seconds to wait if there were too many, else 0.

        Args:
            name: Whose budget it is.
            now: Seconds of a clock. If it is set back, no bucket empties meanwhile.
        """
        with self._lock:
            level, since = self._buckets.pop(name, (0.0, now))
            level = max(0.0, level - max(0.0, now - since) * self._rate)
            refused = level + 1 > self._most
            self._buckets[name] = (level if refused else level + 1, now)
            while len(self._buckets) > self._names:
                self._buckets.popitem(last=False)
        return 1 + int((level + 1 - self._most) / self._rate) if refused else 0

    def give_back(self, name: str) -> None:
        """Take back one that was counted."""
        with self._lock:
            level, since = self._buckets.get(name, (0.0, 0.0))
            if level:
                self._buckets[name] = (max(0.0, level - 1), since)
