"""The address of the page: its origin, and how sessions are kept there."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from urllib.parse import urlsplit

from repoint.fleet.page.auth.errors import InsecureAddressError


@dataclass(frozen=True)
class Address:
    """Where browsers find the page.

    Attributes:
        origin: Such as ``http://127.0.0.1:8741`` or ``https://fleet.example.com``.
    """

    origin: str

    @property
    def host(self) -> str:
        """The host that requests name, with the port unless it is the usual one."""
        return urlsplit(self.origin).netloc

    @property
    def secure(self) -> bool:
        """Whether browsers reach the page by HTTPS."""
        return self.origin.startswith("https://")

    @property
    def cookie(self) -> str:
        """The name of the session's cookie.

        Over HTTPS, its prefix makes browsers refuse the cookie from any other host and path.
        """
        return "__Host-repoint-fleet" if self.secure else f"repoint-fleet-{self._port}"

    def cookie_path(self, key: str) -> str:
        """Return the path to which the cookie of a session is limited."""
        return "/" if self.secure else home_of(key)

    @property
    def browser_cookie(self) -> str:
        """The name of the cookie by which a browser is known: see `known_browsers`."""
        return "__Host-repoint-browser" if self.secure else f"repoint-browser-{self._port}"

    def home(self, key: str) -> str:
        """Return the path of the first page of a session.

        Without HTTPS, cookies reach every port of the machine. The path then holds a second secret:
        see decision 0041.
        """
        return "/" if self.secure else home_of(key)

    @property
    def _port(self) -> int:
        return urlsplit(self.origin).port or 80


def home_of(key: str) -> str:
    """Return the path below which the pages of a session are, without HTTPS."""
    return f"/s/{key}/"


def address_for(public: str | None, host: str, port: int) -> Address:
    """Return the address of a page.

    Args:
        public: The address that browsers use, if a proxy with HTTPS stands before the page.
        host: The address that the page listens at.
        port: The port that it listens at.

    Raises:
        InsecureAddressError: It would be reached over a network without HTTPS.
    """
    if public is not None:
        parts = urlsplit(public)
        if parts.scheme != "https" or not parts.netloc or parts.path not in ("", "/"):
            raise InsecureAddressError(
                f"{public[:80]!r} is not an address with HTTPS and no path",
                hint="Write it as https://fleet.example.com",
            )
        return Address(f"https://{parts.netloc.lower()}")
    if not is_loopback(host):
        raise InsecureAddressError(
            f"At {host}, passwords would be sent over the network without encryption",
            hint="Listen at 127.0.0.1, put a proxy with HTTPS before it, and name its address with "
            "--public-url",
        )
    return Address(f"http://{f'[{host}]' if ':' in host else host}:{port}")


def is_loopback(host: str) -> bool:
    """Return whether a host is an address of this machine alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
