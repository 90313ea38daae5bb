"""When the server may end: nobody has used it for a while. A state machine without I/O."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass
class Idle:
    """How long nobody has used the server.

    Attributes:
        clock: Gives seconds; never goes back.
    """

    clock: Callable[[], float]

    def __post_init__(self) -> None:
        self._last = self.clock()
        self._open = 0

    def begin(self) -> None:
        """Somebody asks for something."""
        self._open += 1

    def end(self) -> None:
        """It was answered."""
        self._open -= 1
        self._last = self.clock()

    def seconds(self) -> float:
        """Seconds since the last use; none while it goes on."""
        return 0.0 if self._open else self.clock() - self._last
