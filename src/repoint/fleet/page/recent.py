"""The figures of a fleet as they were a moment ago, so that nobody waits for them.

A page is shown often, and its figures change little from one second to the next. What was read
less than `FRESH` seconds ago is shown as it is. What is older is shown once more, and read anew
meanwhile. `repoint.fleet.page.warming` looks often enough that nobody finds anything older.
Of a curve over months, only about a hundred moments are kept.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from repoint.fleet.page.figures.curves import HOUR, shown_times
from repoint.fleet.records import Adoption, FailureGroup, FleetState, Outcome

FRESH = 20.0
"""Seconds for which figures are shown as they are."""

STALE = 300.0
"""Seconds after which figures are no longer shown."""

_MOST = 300
"""Figures that are kept."""

Value = TypeVar("Value")


@dataclass
class _Entry:
    value: Any
    read: float
    reading: bool = False


class RecentFigures:
    """The figures of a fleet.

    Args:
        fleet: The state of the fleet.
        now: Returns seconds since 1970.
        clock: Returns seconds of a clock that is never set back.
    """

    def __init__(
        self,
        fleet: FleetState,
        now: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._fleet = fleet
        self._now = now
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: OrderedDict[tuple[Any, ...], _Entry] = OrderedDict()

    def adoption(self, product: str, seconds: int) -> list[Adoption]:
        """Return the adoption of the last seconds, at about a hundred moments."""
        return self._get(
            ("adoption", product, seconds),
            lambda: _thinned(self._fleet.adoption(product, self._now() - seconds)),
        )

    def adoption_since(self, product: str, time: int) -> list[Adoption]:
        """Return the adoption since a time, at about a hundred moments."""
        hour = max(time, 0) // HOUR * HOUR
        return self._get(
            ("adoption since", product, hour),
            lambda: _thinned(self._fleet.adoption(product, hour)),
        )

    def outcomes(self, product: str, time: int) -> list[Outcome]:
        """Return what became of each letter that was staged since a time."""
        since = max(time, 0) // HOUR * HOUR
        return self._get(("outcomes", product, since), lambda: self._fleet.outcomes(product, since))

    def failures(self, product: str, seconds: int) -> list[FailureGroup]:
        """Return the failures of the last seconds."""
        return self._get(
            ("failures", product, seconds),
            lambda: self._fleet.failures(product, self._now() - seconds),
        )

    def received(self, seconds: int) -> dict[int, int]:
        """Return how many reports came in each hour of the last seconds, and later."""
        return self._get(("received", seconds), lambda: self._fleet.received(self._now() - seconds))

    def _get(self, key: tuple[Any, ...], read: Callable[[], Value]) -> Value:
        with self._lock:
            entry = self._entries.get(key)
            age = self._clock() - entry.read if entry is not None else 0
            if entry is not None and age < STALE:
                self._entries.move_to_end(key)
                if age >= FRESH and not entry.reading:
                    entry.reading = True
                    threading.Thread(target=self._refresh, args=(key, read), daemon=True).start()
                value: Value = entry.value
                return value
        return self._read(key, read)

    def _read(self, key: tuple[Any, ...], read: Callable[[], Value]) -> Value:
        began = self._clock()
        value = read()
        with self._lock:
            self._entries[key] = _Entry(value, began)
            self._entries.move_to_end(key)
            while len(self._entries) > _MOST:
                self._entries.popitem(last=False)
        return value

    def _refresh(self, key: tuple[Any, ...], read: Callable[[], object]) -> None:
        try:
            self._read(key, read)
        except Exception:
            # The next request reads them again, and shows why that fails.
            with self._lock:
                self._entries.pop(key, None)


def _thinned(rows: list[Adoption]) -> list[Adoption]:
    shown = set(shown_times({row.time for row in rows}))
    return [row for row in rows if row.time in shown]
