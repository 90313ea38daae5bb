"""One-time links, which tie a browser to the account that requested the page."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from repoint.page.auth.account_limits import AccountLimits

LIFETIME = 120
"""Seconds that a link is valid."""


@dataclass
class LoginLinks:
    """The links that were created and not used yet. Only digests of their secrets are kept.

    Attributes:
        clock: Returns seconds and never goes back.
        limits: How many unused links accounts may have.
    """

    clock: Callable[[], float]
    limits: AccountLimits
    _unused: dict[bytes, tuple[int, float]] = field(default_factory=dict)

    def create(self, uid: int) -> str:
        """Create the secret part of a link for an account."""
        now = self.clock()
        self._unused = {key: value for key, value in self._unused.items() if value[1] > now}
        held = [(key, owner) for key, (owner, _) in self._unused.items()]
        for key in self.limits.to_evict(uid, held):
            del self._unused[key]
        secret = secrets.token_urlsafe(32)
        self._unused[_digest(secret)] = (uid, now + LIFETIME)
        return secret

    def owner(self, secret: str) -> int | None:
        """Return the account of a link. None if the link is unknown, used or expired."""
        uid, expires = self._unused.get(_digest(secret), (-1, 0.0))
        return uid if expires > self.clock() else None

    def use_up(self, secret: str) -> None:
        """Invalidate a link."""
        self._unused.pop(_digest(secret), None)


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode(errors="replace")).digest()
