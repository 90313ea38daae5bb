"""How long the server has been idle. A state machine without I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class IdleTimer:
    """Measures the time since the last request.

    Attributes:
        clock: Returns seconds and never goes back.
    """

    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._last_request = self.clock()
        self._open_requests = 0

    def begin(self) -> None:
        """Record the start of a request."""
        self._open_requests += 1

    def end(self) -> None:
        """Record the end of a request."""
        self._open_requests -= 1
        self._last_request = self.clock()

    def seconds(self) -> float:
        """Seconds since the last request ended; 0 while one is open."""
        return 0.0 if self._open_requests else self.clock() - self._last_request
