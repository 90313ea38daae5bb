"""Asking programs to close, and waiting until they have."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Sequence

from repoint.device.errors import StillRunningError
from repoint.device.status.census import Census, Use
from repoint.host.host import Host


def close_programs(host: Host, census: Census, uses: Sequence[Use], timeout: float) -> None:
    """Send SIGTERM to processes, and wait until they have ended.

    Args:
        host: The machine.
        census: The census that found them.
        uses: The processes.
        timeout: Seconds to wait.

    Raises:
        StillRunningError: A process did not end in time, or belongs to another user.
    """
    processes: dict[int, Use] = {}
    try:
        for use in uses:
            try:
                descriptor = host.processes.open(census.identities[use.pid])
                processes[descriptor] = use
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            except ProcessLookupError:
                continue
            except PermissionError:
                raise StillRunningError(
                    f"{use.name} ({use.pid}) belongs to another user",
                    hint="Close it there, or run `repoint restart` as root; nothing was changed",
                ) from None
        deadline = time.monotonic() + timeout
        left = dict(processes)
        while left and time.monotonic() < deadline:
            left = {fd: use for fd, use in left.items() if not _has_ended(fd)}
            if left:
                time.sleep(0.02)
        if left:
            names = ", ".join(f"{use.name} ({use.pid})" for use in left.values())
            raise StillRunningError(
                f"{names} did not close within {timeout:.0f} seconds",
                hint="Close it yourself, then run `repoint restart` again; nothing was switched",
            )
    finally:
        for descriptor in processes:
            os.close(descriptor)


def is_running(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _has_ended(descriptor: int) -> bool:
    return bool(select.select([descriptor], [], [], 0)[0])
