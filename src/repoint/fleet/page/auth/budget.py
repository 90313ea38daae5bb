"""How many requests a person may send. A state machine without I/O."""

from __future__ import annotations

import threading
from collections import OrderedDict

PER_MINUTE = 240
"""Requests. A page that is open sends three a minute, and a person clicks a few times."""

_MOST_PEOPLE = 1000


class RequestBudget:
    """The requests of each person in the last minute, as a bucket that empties with time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait(self, name: str, now: float) -> int:
        """Count a request. Return the seconds to wait if there were too many, else 0.

        Args:
            name: The person.
            now: Seconds of a clock that is never set back.
        """
        with self._lock:
            level, since = self._buckets.pop(name, (0.0, now))
            level = max(0.0, level - (now - since) * PER_MINUTE / 60)
            refused = level + 1 > PER_MINUTE
            self._buckets[name] = (level if refused else level + 1, now)
            while len(self._buckets) > _MOST_PEOPLE:
                self._buckets.popitem(last=False)
        return 1 + int((level + 1 - PER_MINUTE) * 60 / PER_MINUTE) if refused else 0
