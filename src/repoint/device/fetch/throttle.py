"""Limiting a download to the bandwidth that the policy allows."""

from __future__ import annotations

import time
from collections.abc import Callable

from repoint.device.fetch.progress import Progress, Step


def throttled(
    progress: Progress | None,
    rate: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Progress:
    """Return a progress callback that sleeps between chunks to keep a download below a rate.

    While data is not read, the receive buffer fills and the sender waits. So the rate on the
    network is limited too, apart from the buffer.

    Args:
        progress: The callback to call first.
        rate: Bytes per second.
        clock: Returns seconds.
        sleep: Waits for a number of seconds.
    """
    began, first, last = clock(), 0, -1

    def report(step: Step, done: int, total: int) -> None:
        nonlocal began, first, last
        if progress is not None:
            progress(step, done, total)
        if step != "download":
            return
        if not first <= last <= done:  # another patch, or the same one again
            began, first = clock(), done
        last = done
        ahead = (done - first) / rate - (clock() - began)
        if ahead > 0 and done < total:
            sleep(ahead)

    return report
