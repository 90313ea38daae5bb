"""Browsers in which somebody has signed in before, and where all others come from.

Wrong passwords are counted by where they come from, too: otherwise, whoever knows a name could lock
its owner out. A browser in which the owner has signed in has a count of its own, which no stranger
can raise. All others count by the name that they give and by their network. Whether the name exists
makes no difference, so that nobody learns it from a delay.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from repoint.fleet.intake.limits import network_of
from repoint.fleet.page.auth.accounts import Account
from repoint.page.page_store import PageStore

REMEMBERED: Final = 180 * 86_400
"""Seconds for which a browser is known."""

_FILE: Final = "browsers.json"
_EACH: Final = 16
"""Browsers of one account; the oldest is forgotten first."""

_COUNTS: Final = 4096
"""Counts of all names and networks, so that guesses fill no disk. Some share one, by chance."""


class Browser(NamedTuple):
    """What a request for signing in comes from.

    Attributes:
        address: The address of the peer, or that its proxy gives.
        token: What the browser was given when somebody signed in; empty for nothing.
    """

    address: str
    token: str


class _Known(msgspec.Struct, frozen=True):
    name: str
    proof: str
    since: int


class _BrowsersFile(msgspec.Struct, frozen=True):
    salt: str
    browsers: dict[str, _Known] = {}


@dataclass(frozen=True)
class KnownBrowsers:
    """The known browsers of a page. Only digests of their tokens are kept.

    Attributes:
        store: Holds them.
        clock: Returns seconds since 1970.
    """

    store: PageStore
    clock: Callable[[], float]

    def knows(self, browser: Browser, account: Account | None) -> bool:
        """Return whether the account was used in a browser since its password was set."""
        found = self._read().browsers.get(_digest(browser.token))
        return (
            found is not None
            and account is not None
            and (found.name, found.proof) == (account.name, account.proof)
            and 0 <= self.clock() - found.since < REMEMBERED
        )

    def counted_as(self, browser: Browser, name: str, account: Account | None) -> str:
        """Return the name under which wrong passwords from a browser are counted."""
        # A space is in no name of an account.
        if self.knows(browser, account):
            return f"browser {_digest(browser.token)[:32]}"
        source = f"{network_of(browser.address)} {name}".encode(errors="replace")
        mixed = hmac.digest(self._read().salt.encode(), source, "sha256")
        return f"stranger {int.from_bytes(mixed[:4]) % _COUNTS}"

    def remember(self, browser: Browser, account: Account) -> str:
        """Remember a browser in which somebody has signed in; return its token."""
        with self.store.locked():
            known = self.knows(browser, account)
            token = browser.token if known else secrets.token_urlsafe(32)
            file = self._read()
            browsers = {key: each for key, each in file.browsers.items() if key != _digest(token)}
            own = [key for key, each in browsers.items() if each.name == account.name]
            for key in own[: max(0, len(own) + 1 - _EACH)]:
                del browsers[key]
            browsers[_digest(token)] = _Known(account.name, account.proof, int(self.clock()))
            self.store.write(_FILE, _BrowsersFile(file.salt, browsers))
        return token

    def prepare(self) -> None:
        """Choose at random which names and networks share a count, once for all."""
        with self.store.locked():
            if not self._read().salt:
                self.store.write(_FILE, _BrowsersFile(secrets.token_hex(16)))

    def _read(self) -> _BrowsersFile:
        return self.store.read(_FILE, _BrowsersFile) or _BrowsersFile("")


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
