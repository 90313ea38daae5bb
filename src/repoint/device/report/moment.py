"""Moments, and how much time has passed between two of them although the clock was set."""

from __future__ import annotations

import msgspec

from repoint.host.kernel.boot import Boot


class Moment(msgspec.Struct, frozen=True):
    """A moment.

    Attributes:
        now: Seconds since 1970, by the clock as it was set.
        boot: The kernel's identifier of the boot; "" if it is not known.
        uptime: Seconds since that boot, with the time that the machine was suspended.
    """

    now: int
    boot: str = ""
    uptime: float = 0.0

    def seconds_since(self, earlier: Moment) -> int:
        """Return the seconds since an earlier moment; 0 if the clock was set back since.

        Within one boot, the clock does not count: a machine without a battery for its clock starts
        decades ago.
        """
        if self.boot and self.boot == earlier.boot:
            return max(0, int(self.uptime - earlier.uptime))
        return max(0, self.now - earlier.now)


def moment_of(now: int, boot: Boot) -> Moment:
    """Return the present moment."""
    return Moment(now, boot.identity(), boot.age())
