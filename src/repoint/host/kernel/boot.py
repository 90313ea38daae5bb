"""The current boot of the machine: its identity and its age."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path


class Boot:
    """The current boot.

    Args:
        proc: The proc file system.
        monotonic: The clock of systemd's monotonic timestamps, in seconds.
    """

    def __init__(
        self, proc: Path = Path("/proc"), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._proc = proc
        self._monotonic = monotonic

    def identity(self) -> str:
        """The kernel's name for this boot (random(4), ``boot_id``); empty if it gives none."""
        try:
            return (self._proc / "sys/kernel/random/boot_id").read_text().strip()
        except OSError:
            return ""

    def origin(self) -> float:
        """When the machine started, in seconds since 1970, by the clock as it is set now.

        The starts of processes count from it. The time that the machine was suspended is included.
        """
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)

    def uptime(self) -> float:
        """Seconds since the machine started, without the time it was suspended."""
        return self._monotonic()

    def age(self) -> float:
        """Seconds since the machine started, with the time that it was suspended."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)
