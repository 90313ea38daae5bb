"""Signing in: who may begin a session, and those who were led to the OpenID provider."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from repoint.fleet.page.auth.accounts import Account, AccountPassword, Accounts
from repoint.fleet.page.auth.oidc import Pending
from repoint.page.auth.errors import TooManyAttemptsError
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.page_store import PageStore

PENDING_SECONDS = 600
"""Seconds that a person may take at the provider."""

_MOST_PENDING = 1000
_AT_ONCE = 4
"""Passwords that are checked or wait at once; each check takes 64 MiB of memory."""

_BUCKETS = 256
"""Counts of wrong attempts for names that do not exist, so that guesses fill no disk."""


@dataclass
class SignIn:
    """Checks passwords of local accounts.

    Attributes:
        store: Holds the counts of wrong passwords.
        accounts: The accounts.
        clock: Returns seconds since 1970.
    """

    store: PageStore
    accounts: Accounts
    clock: Callable[[], float]
    _slots: threading.BoundedSemaphore = field(
        default_factory=lambda: threading.BoundedSemaphore(_AT_ONCE)
    )

    def require(self, name: str, password: str) -> Account:
        """Return the account if the password is right.

        Raises:
            WrongPasscodeError: The name or the password is wrong.
            TooManyAttemptsError: It was not checked, because too many were wrong before, or because
                too many are being checked.
        """
        account = self.accounts.find(name)
        guard = PasscodeGuard(
            self.store,
            name if account is not None else _bucket(name),
            AccountPassword(account),
            self.clock,
        )
        if not self._slots.acquire(blocking=False):
            raise TooManyAttemptsError(1)
        try:
            guard.require(password)
        finally:
            self._slots.release()
        assert account is not None  # noqa: S101 (`AccountPassword` accepts nothing for nobody)
        return account


def _bucket(name: str) -> str:
    # A space is in no name of an account.
    return f"unknown {hashlib.sha256(name.encode(errors='replace')).digest()[0] % _BUCKETS}"


class PendingSignIns:
    """The people who were led to the provider, each tied to a browser by a cookie.

    Args:
        clock: Returns seconds of a clock that is never set back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: OrderedDict[str, tuple[float, str, Pending]] = OrderedDict()

    def add(self, pending: Pending) -> str:
        """Remember a person; return the value of the browser's cookie."""
        cookie = secrets.token_urlsafe(32)
        with self._lock:
            self._pending[pending.state] = (self._clock(), cookie, pending)
            while len(self._pending) > _MOST_PENDING:
                self._pending.popitem(last=False)
        return cookie

    def take(self, state: str, cookie: str) -> Pending | None:
        """Return the person of a state, once, if the browser is the same; else None."""
        with self._lock:
            since, expected, pending = self._pending.get(state, (0.0, "", None))
            same = hmac.compare_digest(expected.encode(), cookie.encode(errors="replace"))
            if pending is None or not same:
                return None
            del self._pending[state]
        return pending if self._clock() - since < PENDING_SECONDS else None
