"""Asking programs to close, and waiting until they have."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Mapping, Sequence

from repoint.device.errors import StillRunningError
from repoint.device.status.census import Census, Use
from repoint.host.host import Host


def close_programs(
    host: Host, census: Census, uses: Sequence[Use], timeout: float
) -> tuple[Use, ...]:
    """Send SIGTERM to processes, and wait until they have ended.

    A process in a container is never signalled: its numbers and its service manager are not ours.
    One of a foreign account is asked like any other, but nobody else's fix waits for it. See
    ``docs/decisions/0038-whose-processes-count.md``.

    Args:
        host: The machine.
        census: The census that found them.
        uses: The processes.
        timeout: Seconds to wait.

    Returns:
        The processes of containers and of foreign accounts that still run.

    Raises:
        StillRunningError: A process did not end in time, or belongs to another user.
    """
    left = {use.pid: use for use in uses if use.contained}
    asked: dict[int, Use] = {}
    try:
        for use in {use.pid: use for use in uses if not use.contained}.values():
            try:
                descriptor = host.processes.open(census.identities[use.pid])
                asked[descriptor] = use
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
            except ProcessLookupError:
                continue
            except PermissionError:
                raise StillRunningError(
                    f"{use.name} ({use.pid}) belongs to another user",
                    hint="Close it there, or run `repoint restart` as root; nothing was changed",
                ) from None
        running = _wait(asked, timeout)
    finally:
        for descriptor in asked:
            os.close(descriptor)
    own = [use for use in running if not use.foreign]
    if own:
        names = ", ".join(f"{use.name} ({use.pid})" for use in own)
        raise StillRunningError(
            f"{names} did not close within {timeout:.0f} seconds",
            hint="Close it yourself, then run `repoint restart` again; nothing was switched",
        )
    return (*left.values(), *running)


def _wait(asked: Mapping[int, Use], timeout: float) -> list[Use]:
    """Wait until processes have ended; return those that have not in time."""
    deadline = time.monotonic() + timeout
    left = dict(asked)
    while left and time.monotonic() < deadline:
        left = {fd: use for fd, use in left.items() if not _has_ended(fd)}
        if left:
            time.sleep(0.02)
    return list(left.values())


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
