"""Signing in: who may begin a session, and those who were led to the OpenID provider."""

from __future__ import annotations

import hmac
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from repoint.fleet.page.auth.accounts import Account, AccountPassword, Accounts
from repoint.fleet.page.auth.budget import Budget
from repoint.fleet.page.auth.known_browsers import Browser, KnownBrowsers, network_of
from repoint.fleet.page.auth.oidc import Pending
from repoint.fleet.page.auth.slots import Slots
from repoint.page.auth.errors import TooManyAttemptsError, WrongPasscodeError
from repoint.page.auth.passcode_guard import PasscodeGuard
from repoint.page.page_store import PageStore

PENDING_SECONDS = 600
"""Seconds that a person may take at the provider."""

_MOST_PENDING = 1000
_KNOWN_FILE = "known-attempts.json"
_COUNTS = 4096
"""Counts of networks and names, so that guesses fill no disk."""

_OF_A_NETWORK = 20
"""Wrong passwords of a network in an hour, whatever the names."""

_OF_AN_ACCOUNT = 500
"""Wrong passwords of an account in an hour, from all networks. Each network may send eleven in the
first hour and one in each later one, so only who holds hundreds of networks keeps this up."""

_HOUR = 3600
_REMEMBERED = 50_000
"""Networks and names whose wrong passwords are remembered."""


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
        self._slots = Slots((4, 2), (16, 6))
        # Strangers cannot take these.
        self._known_slots = Slots((2, 1), (6, 2))
        self._networks = Budget(_OF_A_NETWORK, _HOUR, _REMEMBERED)
        self._names = Budget(_OF_AN_ACCOUNT, _HOUR, _REMEMBERED)

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
        checked = AccountPassword(account)
        if self._browsers.knows(browser, account):
            known = self._browsers.known_as(browser)
            with self._known_slots.taken(known):
                PasscodeGuard(
                    self._store, known, checked, self._clock, file=_KNOWN_FILE, most=_COUNTS
                ).require(password)
        else:
            network = network_of(browser.address)
            stranger = self._browsers.stranger_as(network, name)
            with (
                self._counted(self._networks, network),
                self._counted(self._names, name),
                self._slots.taken(network),
            ):
                PasscodeGuard(self._store, stranger, checked, self._clock, most=_COUNTS).require(
                    password
                )
        assert account is not None  # noqa: S101 (`AccountPassword` accepts nothing for nobody)
        return account

    @contextmanager
    def _counted(self, budget: Budget, name: str) -> Iterator[None]:
        """Count a password that is checked in the block, unless it is right or was not checked."""
        wait = budget.wait(name, self._clock())
        if wait:
            raise TooManyAttemptsError(wait)
        try:
            yield
        except WrongPasscodeError:
            raise
        except BaseException:
            budget.give_back(name)
            raise
        budget.give_back(name)

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
