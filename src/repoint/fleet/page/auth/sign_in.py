"""Signing in: who may begin a session, and those who were led to the OpenID provider."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable

from repoint.fleet.page.auth.accounts import Account, AccountPassword, Accounts
from repoint.fleet.page.auth.known_browsers import Browser, KnownBrowsers
from repoint.fleet.page.auth.oidc import Pending
from repoint.page.auth.errors import TooManyAttemptsError
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.page_store import PageStore

PENDING_SECONDS = 600
"""Seconds that a person may take at the provider."""

_MOST_PENDING = 1000
_AT_ONCE = 4
"""Passwords that are checked or wait at once; each check takes 64 MiB of memory."""

_KNOWN_AT_ONCE = 2
"""The same, of browsers in which somebody has signed in before. Strangers cannot take these."""


class SignIn:
    """Checks passwords of local accounts.

    Args:
        store: Holds the counts of wrong passwords, and the known browsers.
        accounts: The accounts.
        clock: Returns seconds since 1970.
    """

    def __init__(self, store: PageStore, accounts: Accounts, clock: Callable[[], float]) -> None:
        self._store = store
        self._accounts = accounts
        self._clock = clock
        self._browsers = KnownBrowsers(store, clock)
        self._prepared = False
        self._slots = threading.BoundedSemaphore(_AT_ONCE)
        self._known_slots = threading.BoundedSemaphore(_KNOWN_AT_ONCE)

    def require(self, name: str, password: str, browser: Browser) -> Account:
        """Return the account if the password is right.

        Raises:
            WrongPasscodeError: The name or the password is wrong.
            TooManyAttemptsError: It was not checked, because too many were wrong before, or because
                too many are being checked.
        """
        if not self._prepared:
            self._browsers.prepare()
            self._prepared = True
        account = self._accounts.find(name)
        counted_as = self._browsers.counted_as(browser, name, account)
        guard = PasscodeGuard(self._store, counted_as, AccountPassword(account), self._clock)
        slots = self._known_slots if self._browsers.knows(browser, account) else self._slots
        if not slots.acquire(blocking=False):
            raise TooManyAttemptsError(1)
        try:
            guard.require(password)
        finally:
            slots.release()
        assert account is not None  # noqa: S101 (`AccountPassword` accepts nothing for nobody)
        return account

    def remember(self, browser: Browser, account: Account) -> str:
        """Remember a browser in which somebody has signed in; return its token."""
        return self._browsers.remember(browser, account)


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
