"""Who may have a password checked now. Each check takes 64 MiB of memory, and a processor."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from repoint.page.auth.errors import TooManyAttemptsError


class Slots:
    """Places at the checks, and in a short queue before them.

    One source gets only some of both, so that others always find a place. The queue is bounded
    because whoever waits occupies a thread of the server.

    Args:
        at_once: Checks at once, and those of one source.
        inside: Checks that are made or waited for, and those of one source.
        patience: Seconds that somebody waits.
    """

    def __init__(
        self, at_once: tuple[int, int], inside: tuple[int, int], patience: float = 5.0
    ) -> None:
        self._at_once = at_once
        self._most_inside = inside
        self._patience = patience
        self._turn = threading.Condition()
        self._checked: Counter[str] = Counter()
        self._inside: Counter[str] = Counter()

    @contextmanager
    def taken(self, source: str) -> Iterator[None]:
        """Hold a place while the block runs.

        Raises:
            TooManyAttemptsError: There is none.
        """
        with self._turn:
            if not _is_free(self._inside, source, self._most_inside):
                raise TooManyAttemptsError(1)
            self._inside[source] += 1
            try:
                if not self._turn.wait_for(
                    lambda: _is_free(self._checked, source, self._at_once), self._patience
                ):
                    raise TooManyAttemptsError(1)
                self._checked[source] += 1
            except BaseException:
                _leave(self._inside, source)
                raise
        try:
            yield
        finally:
            with self._turn:
                _leave(self._checked, source)
                _leave(self._inside, source)
                self._turn.notify_all()


def _is_free(counts: Counter[str], source: str, most: tuple[int, int]) -> bool:
    return counts.total() < most[0] and counts[source] < most[1]


def _leave(counts: Counter[str], source: str) -> None:
    counts[source] -= 1
    if not counts[source]:
        del counts[source]  # strangers make up sources
