"""Asking programs to close, and waiting until they have."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from collections.abc import Iterator, Sequence

from repoint.device.errors import StillRunningError
from repoint.device.status.census import Census, Use
from repoint.host.host import Host
from repoint.host.kernel.processes import ProcessIdentity


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
    asked: list[Use] = []
    for use in {use.pid: use for use in uses if not use.contained}.values():
        try:
            with _opened(host, census.identities[use.pid]) as descriptor:
                signal.pidfd_send_signal(descriptor, signal.SIGTERM)
        except ProcessLookupError:
            continue
        except PermissionError:
            raise StillRunningError(
                f"{use.name} ({use.pid}) belongs to another user",
                hint="Close it there, or restart as root; nothing was changed",
            ) from None
        asked.append(use)
    running = _wait(host, census, asked, timeout)
    own = [use for use in running if not use.foreign]
    if own:
        names = ", ".join(f"{use.name} ({use.pid})" for use in own)
        raise StillRunningError(
            f"{names} did not close within {timeout:.0f} seconds",
            hint="Close it yourself, then restart again; nothing was switched",
        )
    return (*left.values(), *running)


def _wait(host: Host, census: Census, asked: Sequence[Use], timeout: float) -> list[Use]:
    """Wait until processes have ended; return those that have not in time."""
    deadline = time.monotonic() + timeout
    left = list(asked)
    while left and time.monotonic() < deadline:
        left = [use for use in left if not _has_ended(host, census.identities[use.pid])]
        if left:
            time.sleep(0.02)
    return left


def is_running(pid: int) -> bool:
    """Return whether a process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@contextlib.contextmanager
def _opened(host: Host, identity: ProcessIdentity) -> Iterator[int]:
    # One at a time: another account can start more processes than we may have descriptors.
    descriptor = host.processes.open(identity)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has_ended(host: Host, identity: ProcessIdentity) -> bool:
    try:
        with _opened(host, identity) as descriptor:
            return bool(select.select([descriptor], [], [], 0)[0])
    except ProcessLookupError:
        return True
