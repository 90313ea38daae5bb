"""Letting a download use no more of the network than the policy allows."""

from __future__ import annotations

import time
from collections.abc import Callable

from repoint.device.update.install import Progress, Step


def throttled(
    progress: Progress | None,
    rate: int,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Progress:
    """Sleep between the parts of a download so that it keeps below a rate.

    What is not read is not sent: the receive buffer fills, and the sender waits. So the rate holds
    on the network, but for the buffer.

    Args:
        progress: Whom to tell.
        rate: Bytes a second.
        clock: Gives seconds.
        sleep: Waits so many seconds.
    """
    began, first, last = clock(), 0, -1

    def report(step: Step, done: int, total: int) -> None:
        nonlocal began, first, last
        if progress is not None:
            progress(step, done, total)
        if step != "download":
            return
        if not first <= last <= done:  # another patch, or the same one from its beginning
            began, first = clock(), done
        last = done
        ahead = (done - first) / rate - (clock() - began)
        if ahead > 0 and done < total:
            sleep(ahead)

    return report
