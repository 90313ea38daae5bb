"""Which proxy leads to an address: the variables that curl and others read, or the settings."""

from __future__ import annotations

import base64
import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from repoint.device.errors import NetworkSettingsError
from repoint.device.fetch.network import Network
from repoint.model.address import Address, AddressError, hidden


@dataclass(frozen=True)
class Proxy:
    """An HTTP proxy.

    Attributes:
        address: Its address.
        authorization: The value of ``Proxy-Authorization``; "" if it needs none.
    """

    address: Address
    authorization: str = field(default="", repr=False)

    @classmethod
    def parse(cls, text: str, source: str) -> Proxy:
        """Parse ``http://user:password@proxy.example.org:3128`` or ``proxy.example.org:3128``.

        Args:
            text: The address.
            source: The variable or file that names it.

        Raises:
            NetworkSettingsError: It is not the address of an HTTP proxy.
        """
        full = text if "://" in text else f"http://{text}"
        scheme, _, rest = full.partition("://")
        login, at, place = rest.rpartition("@")
        try:
            if scheme.lower() not in ("http", "https"):
                raise AddressError(f"{hidden(text)} is not an HTTP proxy")
            address = Address.parse(f"{scheme}://{place.rstrip('/')}")
            if address.path:
                raise AddressError(f"{hidden(text)} has a path")
        except AddressError as error:
            raise NetworkSettingsError(
                f"The proxy of {source} cannot be used: {error.message}",
                hint="Write it as http://proxy.example.org:3128",
            ) from None
        return cls(address, basic(*_login(login)) if at else "")


def basic(user: str, password: str) -> str:
    """Return the value of a header for basic authentication."""
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


def proxy_for(address: Address, network: Network) -> Proxy | None:
    """Return the proxy that leads to an address, or None if it is reached without one.

    Raises:
        NetworkSettingsError: The proxy's address is malformed.
    """
    if network.settings.proxy is not None:
        text, source, exceptions = network.settings.proxy, network.file, network.settings.no_proxy
    else:
        name, text = _named(network.environment, address.scheme)
        source, exceptions = name, _variable(network.environment, "NO_PROXY")[1]
    if not text.strip() or bypasses(address, exceptions):
        return None
    return Proxy.parse(text.strip(), source)


def bypasses(address: Address, exceptions: str) -> bool:
    """Return whether a list in the form of ``NO_PROXY`` excepts an address from the proxy.

    An entry is ``*``, a host, a domain with all below it (``example.org``, ``.example.org``,
    ``*.example.org``), an IP address or a network (``10.0.0.0/8``); each may end with a port.
    """
    return any(_matches(address, entry) for entry in exceptions.replace(",", " ").lower().split())


def _matches(address: Address, entry: str) -> bool:
    host, port = _host_and_port(entry)
    if port and port != str(address.port):
        return False
    if host == "*":
        return True
    try:
        network = ipaddress.ip_network(host, strict=False)
    except ValueError:
        domain = host.removeprefix("*").strip(".")
        return bool(domain) and f".{address.host}".endswith(f".{domain}")
    try:
        return ipaddress.ip_address(address.host) in network
    except ValueError:
        return False


def _host_and_port(entry: str) -> tuple[str, str]:
    if entry.startswith("["):
        host, _, rest = entry[1:].partition("]")
        return host, rest.removeprefix(":")
    if entry.count(":") == 1:
        host, _, port = entry.partition(":")
        return host, port
    return entry, ""  # a name, or an IPv6 address without brackets


def _named(environment: Mapping[str, str], scheme: str) -> tuple[str, str]:
    names = [f"{scheme.upper()}_PROXY", "ALL_PROXY"]
    if "REQUEST_METHOD" in environment and scheme == "http":
        names = names[1:]  # a web server sets HTTP_PROXY from a header of its client
    for name in names:
        found = _variable(environment, name)
        if found[1].strip():
            return found
    return names[-1], ""


def _variable(environment: Mapping[str, str], name: str) -> tuple[str, str]:
    """Return the name and the value of a variable; the lower case comes first, as in curl."""
    if name.lower() in environment:
        return name.lower(), environment[name.lower()]
    return name, environment.get(name, "")


def _login(text: str) -> tuple[str, str]:
    user, _, password = text.partition(":")
    return unquote(user), unquote(password)
