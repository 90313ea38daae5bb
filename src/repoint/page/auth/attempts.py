"""How long to wait after wrong passcodes. A state machine without I/O.

The first wrong passcodes cost nothing, because people mistype. Each further one doubles the wait,
up to an hour, so that ten thousand guesses take more than a year.
"""

from __future__ import annotations

import msgspec

FREE = 3
"""Wrong passcodes until the first wait."""

FIRST_WAIT = 10
"""Seconds of the first wait."""

LONGEST_WAIT = 3600
"""Seconds of the longest wait."""


class Attempts(msgspec.Struct, frozen=True):
    """The wrong passcodes since the last right one.

    Attributes:
        wrong: Their number.
        last: When the last one was entered, in seconds since 1970.
    """

    wrong: int = 0
    last: int = 0

    def delay(self) -> int:
        """Seconds that must pass after the last wrong passcode."""
        if self.wrong < FREE:
            return 0
        # The bound keeps the shifted number small.
        doublings = min(self.wrong - FREE, 20)
        return min(FIRST_WAIT << doublings, LONGEST_WAIT)

    def end(self) -> int:
        """Return when the wait ends or has ended, in seconds since 1970."""
        return self.last + self.delay()

    def wait(self, now: int) -> int:
        """Seconds that are left to wait."""
        return max(0, self.end() - now)

    def anchored(self, now: int) -> Attempts:
        """Restart the wait if the clock was set back, so that it never grows beyond its length."""
        return self if self.last <= now else Attempts(self.wrong, now)

    def after_wrong(self, now: int) -> Attempts:
        """Return the state after one more wrong passcode."""
        return Attempts(self.wrong + 1, now)
