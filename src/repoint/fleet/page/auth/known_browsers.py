"""Browsers in which somebody has signed in before, and where all others come from.

Wrong passwords are counted by where they come from, too: otherwise, whoever knows a name could lock
its owner out. A browser in which the owner has signed in has a count of its own, which no stranger
can raise. All others count by the name that they give and by their network, and never share a
count: otherwise, a stranger could raise those of all networks with names that are made up. Whether
the name exists makes no difference, so that nobody learns it from a delay.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from repoint.fleet.page.auth.accounts import Account
from repoint.page.page_store import PageStore

REMEMBERED: Final = 180 * 86_400
"""Seconds for which a browser is known."""

_FILE: Final = "browsers.json"
_LOCK: Final = "browsers.lock"
_EACH: Final = 16
"""Browsers of one account; the oldest is forgotten first."""

_SITE_BITS: Final = 48
"""Bits of an IPv6 address that anybody can get a network of, with its 65,536 smaller networks."""


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

    def known_as(self, browser: Browser) -> str:
        """Return the name under which wrong passwords from a known browser are counted."""
        return f"browser {_digest(browser.token)[:32]}"

    def stranger_as(self, network: str, name: str) -> str:
        """Return the name under which wrong passwords from elsewhere are counted.

        The file holds neither names nor networks: some people enter their password as the name.
        """
        source = f"{network} {name}".encode(errors="replace")
        mixed = hmac.digest(self._read().salt.encode(), source, "sha256")
        return f"stranger {mixed[:16].hex()}"

    def remember(self, browser: Browser, account: Account) -> str:
        """Remember a browser in which somebody has signed in; return its token."""
        with self.store.locked(_LOCK):
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
        """Choose a secret for the names of counts, once for all."""
        with self.store.locked(_LOCK):
            file = self._read()
            if not file.salt:
                self.store.write(_FILE, _BrowsersFile(secrets.token_hex(16), file.browsers))

    def _read(self) -> _BrowsersFile:
        return self.store.read(_FILE, _BrowsersFile) or _BrowsersFile("")


def network_of(address: str) -> str:
    """Return the network that one stranger may hold: an IPv4 address, or the start of IPv6."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    rest = 128 - _SITE_BITS
    return str(ipaddress.IPv6Network((int(parsed) >> rest << rest, _SITE_BITS)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode(errors="replace")).hexdigest()
