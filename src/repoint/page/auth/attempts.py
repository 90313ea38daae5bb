"""Wrong passcodes: how long to wait after how many. A state machine without I/O.

The first ones cost nothing, because people mistype. From then on each doubles the wait, up to an
hour: ten thousand guesses take more than a year.
"""

from __future__ import annotations

import msgspec

FREE = 3
"""Wrong passcodes after which the waiting begins."""

FIRST_WAIT = 10
"""Seconds to wait after the last free one."""

LONGEST_WAIT = 3600
"""Seconds to wait at most."""


class Attempts(msgspec.Struct, frozen=True):
    """What is remembered of the wrong passcodes since the last right one.

    Attributes:
        wrong: How many.
        last: When the last one was given, in seconds since 1970.
    """

    wrong: int = 0
    last: int = 0

    def delay(self) -> int:
        """Seconds that must pass after the last wrong one."""
        if self.wrong < FREE:
            return 0
        # Far beyond the longest wait the exponent would only cost memory.
        doublings = min(self.wrong - FREE, 20)
        return min(FIRST_WAIT << doublings, LONGEST_WAIT)

    def wait(self, now: int) -> int:
        """Seconds that are left to wait."""
        return max(0, self.last + self.delay() - now)

    def anchored(self, now: int) -> Attempts:
        """The same, where the clock was set back meanwhile: the wait begins anew, but no longer."""
        return self if self.last <= now else Attempts(self.wrong, now)

    def after_wrong(self, now: int) -> Attempts:
        """The state after one more wrong passcode."""
        return Attempts(self.wrong + 1, now)
