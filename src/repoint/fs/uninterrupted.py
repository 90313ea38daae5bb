"""Short steps that Ctrl-C must not cut in two."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold SIGINT back while the block runs; it arrives at the end, if it came.

    Only for steps that take no longer than some writes and that wait for nobody.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
