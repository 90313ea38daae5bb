"""One-time links: what ties a browser to the account that asked to open the page."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

SECONDS = 120
"""How long a link may be used."""

_MOST = 32


@dataclass
class Links:
    """The links that were given out and not used yet. Only digests are kept.

    Attributes:
        clock: Gives seconds; never goes back.
    """

    clock: Callable[[], float]
    _open: dict[bytes, tuple[int, float]] = field(default_factory=dict)

    def make(self, uid: int) -> str:
        """Make a link's secret part for an account."""
        now = self.clock()
        self._open = {key: value for key, value in self._open.items() if value[1] > now}
        while len(self._open) >= _MOST:
            del self._open[next(iter(self._open))]
        secret = secrets.token_urlsafe(32)
        self._open[_digest(secret)] = (uid, now + SECONDS)
        return secret

    def owner(self, secret: str) -> int | None:
        """The account that a link was made for, if it can still be used."""
        uid, until = self._open.get(_digest(secret), (-1, 0.0))
        return uid if until > self.clock() else None

    def use_up(self, secret: str) -> None:
        """Let the link never work again."""
        self._open.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
