"""Addresses of repositories and proxies: one strict form, and one clear line for all others.

The form is strict because an address is compared with the policy's prefixes: what two parsers could
read in two ways is refused.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, quote, urlsplit

import msgspec

from repoint.model.errors import RepointError

_PORTS = {"http": 80, "https": 443}
_LONGEST = 2000
_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?")
_DOTS = re.compile(r"(\.|%2e){1,2}", re.IGNORECASE)
_PATH_SAFE = "/%:@!$&'()*+,;=~-._"
_FORM = "Write it as https://updates.example.org/kiosk"


class AddressError(RepointError):
    """An address is malformed, or has a part that does not belong in it."""


class Address(msgspec.Struct, frozen=True):
    """An http or https address.

    Attributes:
        scheme: ``http`` or ``https``.
        host: The name in ASCII and lower case, or an IP address without brackets.
        port: The port.
        path: The path without a slash at its end; "" for the root.
        query: The query; only a redirect leads to an address that has one.
    """

    scheme: str
    host: str
    port: int
    path: str
    query: str = ""

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse the address of a repository.

        Raises:
            AddressError: It is malformed, or holds a user name, a query or a fragment.
        """
        parts = _split(text)
        if "@" in parts.netloc:
            raise AddressError(
                f"The address {hidden(text)} contains a user name or a password",
                hint="Write the address without them, and put them into the network settings file "
                "(see the agent guide)",
            )
        if "?" in text or "#" in text:
            raise AddressError(
                f"The address {hidden(text)} contains a query or a fragment, and a repository "
                "is many files",
                hint=f"{_FORM}; a signed address opens one file only",
            )
        return _checked(text, parts)

    @classmethod
    def redirected(cls, text: str) -> Address:
        """Parse the target of a redirect, which may have a query; a fragment is dropped.

        Raises:
            AddressError: It is malformed, or holds a user name or a password.
        """
        parts = _split(text.partition("#")[0])
        if "@" in parts.netloc:
            raise AddressError(
                f"The address {hidden(text)} contains a user name or a password",
                hint="Tell the operator of the repository",
            )
        return _checked(text, parts)

    @property
    def netloc(self) -> str:
        """The host, with the port if it is not the scheme's own."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def origin(self) -> str:
        """The scheme, the host and the port."""
        return f"{self.scheme}://{self.netloc}"

    @property
    def url(self) -> str:
        """The address as it is requested."""
        return f"{self}?{self.query}" if self.query else str(self)

    def __str__(self) -> str:
        return f"{self.origin}{self.path}"

    def is_below(self, prefix: Address) -> bool:
        """Return whether it has the origin of a prefix, and a path below that of the prefix."""
        below = f"{self.path}/".startswith(f"{prefix.path.rstrip('/')}/")
        return self.origin == prefix.origin and below


def reports_address(text: str) -> Address:
    """Parse the address that reports are sent to: https, or a server on this machine.

    Raises:
        AddressError: It is malformed, or others could read along.
    """
    address = Address.parse(text)
    if address.scheme == "http" and not _is_this_machine(address.host):
        raise AddressError(
            f"The address {hidden(text)} is not encrypted, and reports are for their fleet only",
            hint="Write it with https",
        )
    return address


def hidden(text: str) -> str:
    """Return an address for a message: without user name, password and query, and quoted."""
    text = text.partition("?")[0]
    scheme = re.match(r"\s*\w+://", text)
    if "@" in text:
        text = f"{scheme[0] if scheme else ''}…@{text.rpartition('@')[2]}"
    return repr(text if len(text) <= 200 else f"{text[:200]}…")


def _split(text: str) -> SplitResult:
    shown = hidden(text)
    if not text:
        raise AddressError("The address is empty", hint=_FORM)
    if len(text) > _LONGEST:
        raise AddressError(f"The address {shown} is longer than {_LONGEST} characters", hint=_FORM)
    if any(not character.isprintable() or character.isspace() for character in text):
        raise AddressError(
            f"The address {shown} contains a space or a control character",
            hint="Write a space within a path as %20",
        )
    if "\\" in text:
        raise AddressError(f"The address {shown} contains a backslash", hint=_FORM)
    try:
        return urlsplit(text)
    except ValueError as error:
        raise AddressError(f"The address {shown} is malformed: {error}", hint=_FORM) from None


def _checked(text: str, parts: SplitResult) -> Address:
    shown = hidden(text)
    scheme = parts.scheme.lower()
    if scheme not in _PORTS:
        hint = _FORM
        if scheme == "file" or text.startswith("/"):
            hint = "Serve the folder with a web server, for example with `repoint serve`"
        raise AddressError(f"{shown} is not an http or https URL", hint=hint)
    if not parts.hostname:
        raise AddressError(f"The address {shown} has no host", hint=_FORM)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if port == 0 or parts.netloc.endswith(":"):
        raise AddressError(
            f"The address {shown} has no valid port", hint="A port is a number from 1 to 65535"
        )
    path = quote(parts.path, safe=_PATH_SAFE).rstrip("/")
    if any(_DOTS.fullmatch(name) for name in path.split("/")):
        raise AddressError(f"The path of the address {shown} contains `.` or `..`", hint=_FORM)
    return Address(scheme, _host(parts.hostname, shown), port or _PORTS[scheme], path, parts.query)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host(host: str, shown: str) -> str:
    try:
        if ":" in host and "%" not in host:
            return str(ipaddress.IPv6Address(host))
        name = host.rstrip(".").encode("idna").decode().lower()
    except ValueError:
        name = ""
    labels = name.split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(x) and len(x) <= 63 for x in labels):
        raise AddressError(f"The address {shown} has no valid host name", hint=_FORM)
    return name
