"""Sending a request: through the right proxy, with the right credentials, along redirects.

Every address is checked before it is requested, also those that a redirect leads to. Credentials
belong to an address, so a redirect to another server never gets them.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urljoin

import urllib3

from repoint import __version__
from repoint.device.errors import NotTrustedError
from repoint.device.fetch.answers import refused, retry_after, unreachable
from repoint.device.fetch.network import Credential, Network
from repoint.device.fetch.proxies import Proxy, basic, proxy_for
from repoint.device.fetch.stall_timeout import POOLS
from repoint.device.fetch.tls import tls_context
from repoint.model.address import Address, AddressError
from repoint.model.errors import RepointError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse

_TIMEOUT = urllib3.Timeout(connect=10.0, read=30.0)
_ATTEMPTS = 3
_REDIRECTS = 5
_REDIRECTED = (301, 302, 303, 307, 308)
_BUSY = (429, 503)
_HEADERS = {"User-Agent": f"repoint/{__version__}", "Accept-Encoding": "identity"}

_SLOW = 3.0
"""Seconds after which a person is told for whom the command waits."""

_LONGEST_PAUSE = 10
"""The longest pause in seconds before a request is repeated within one command."""

_MOST_PAUSES = 30.0
"""The sum of all such pauses in one command, in seconds."""


@dataclass
class Traffic:
    """How many requests were made, and how many bytes of their bodies arrived."""

    requests: int = 0
    received: int = 0


@dataclass
class Connector:
    """Sends the requests of one command.

    Attributes:
        network: How this device reaches repositories.
        on_wait: Called periodically during a pause; an exception that it raises ends it.
        traffic: The traffic so far.
        role: What the servers are, for messages.
    """

    network: Network
    on_wait: Callable[[], None] | None = None
    traffic: Traffic = field(default_factory=Traffic)
    role: str = "repository"
    _managers: dict[tuple[Proxy | None, Credential | None, str], urllib3.PoolManager] = field(
        default_factory=dict
    )
    _paused: float = 0.0
    _announced: bool = False

    def open(self, url: str, headers: dict[str, str]) -> BaseHTTPResponse:
        """Send a request. Closing a response that is not read to its end aborts it.

        A server that asks to try again soon is asked again.

        Raises:
            NoNetworkError: The server cannot be reached, or asks to try again later.
            NetworkSettingsError: The proxy or a certificate cannot be used.
            NotTrustedError: It redirects to where this device must not go.
            RepointError: The policy does not allow the address.
        """
        address = Address.parse(url)
        for attempt in range(_ATTEMPTS):
            response = self._follow(address, headers)
            if response.status not in _BUSY:
                return response
            after = retry_after(response.headers.get("Retry-After", ""))
            error = refused(url, address.netloc, response, known=False)
            response.close()
            pause = max(after, 0.5)
            is_last = attempt == _ATTEMPTS - 1
            if is_last or pause > _LONGEST_PAUSE or self._paused + pause > _MOST_PAUSES:
                raise error
            self._pause(pause)
        raise AssertionError("the last attempt returns or raises")

    def send(self, method: str, url: str, body: bytes) -> BaseHTTPResponse:
        """Send a request with a JSON body, once. No redirect is followed and nothing is repeated.

        Raises:
            NoNetworkError: The server cannot be reached.
            NetworkSettingsError: The proxy or a certificate cannot be used.
            RepointError: The policy does not allow the address.
        """
        address = Address.parse(url)
        self.network.permit(str(address))
        return self._request(address, {"Content-Type": "application/json"}, method, body)

    @contextlib.contextmanager
    def announced(self, url: str) -> Iterator[None]:
        """Say once for whom the command waits, if the block takes longer than some seconds."""
        on_slow = self.network.on_slow
        if on_slow is None or self._announced:
            yield
            return

        def announce() -> None:
            self._announced = True
            on_slow(Address.redirected(url).netloc)

        timer = threading.Timer(_SLOW, announce)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def identifies(self, url: str) -> bool:
        """Return whether this device sends a user name and a password to an address."""
        credential = self.network.credential(Address.redirected(url))
        return credential is not None and bool(credential.user)

    def _follow(self, first: Address, headers: dict[str, str]) -> BaseHTTPResponse:
        address = first
        for _ in range(_REDIRECTS + 1):
            try:
                self.network.permit(str(address))
                response = self._request(address, headers)
            except RepointError as error:
                if address.origin == first.origin:
                    raise
                raise type(error)(
                    f"{first.netloc} redirects to {address.netloc}. {error.message}",
                    hint="If this network asks for a login, log in first; otherwise try again "
                    "later",
                ) from error
            location = response.headers.get("Location", "")
            if response.status not in _REDIRECTED or not location:
                return response
            response.close()
            address = _redirect(address, location)
        raise NotTrustedError(
            f"{first} redirects more than {_REDIRECTS} times", hint="Tell the repository's operator"
        )

    def _request(
        self,
        address: Address,
        headers: dict[str, str],
        method: str = "GET",
        body: bytes | None = None,
    ) -> BaseHTTPResponse:
        proxy = proxy_for(address, self.network)
        credential = self.network.credential(address)
        manager = self._manager(proxy, credential, address.scheme)
        if credential is not None and credential.user:
            headers = {**headers, "Authorization": basic(credential.user, credential.password)}
        place = proxy.address.netloc if proxy is not None else ""
        attempts = _ATTEMPTS if body is None else 1
        for attempt in range(attempts):
            self.traffic.requests += 1
            try:
                with self.announced(address.url):
                    return manager.request(
                        method, address.url, body=body, headers={**_HEADERS, **headers},
                        preload_content=False, redirect=False, retries=False, timeout=_TIMEOUT,
                    )  # fmt: skip
            except urllib3.exceptions.HTTPError as error:
                if attempt == attempts - 1 or not _is_worth_another_attempt(error):
                    raise unreachable(address.netloc, error, proxy=place, role=self.role) from error
                time.sleep(0.1 * 2**attempt)
        raise AssertionError("the last attempt returns or raises")

    def _manager(
        self, proxy: Proxy | None, credential: Credential | None, scheme: str
    ) -> urllib3.PoolManager:
        key = (proxy, credential, scheme)
        if key not in self._managers:
            # Reading the authorities takes time, and plain HTTP needs none.
            context = tls_context(self.network, credential) if scheme == "https" else None
            manager = urllib3.PoolManager(ssl_context=context)
            if proxy is not None:
                login = {"Proxy-Authorization": proxy.authorization} if proxy.authorization else {}
                is_tls = proxy.address.scheme == "https"
                manager = urllib3.ProxyManager(
                    proxy.address.origin,
                    proxy_headers=login,
                    proxy_ssl_context=tls_context(self.network, None) if is_tls else None,
                    ssl_context=context,
                )
            manager.pool_classes_by_scheme = POOLS
            self._managers[key] = manager
        return self._managers[key]

    def _pause(self, seconds: float) -> None:
        self._paused += seconds
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
            if self.on_wait is not None:
                self.on_wait()


def _redirect(address: Address, location: str) -> Address:
    try:
        target = Address.redirected(urljoin(address.url, location))
    except (AddressError, ValueError) as error:
        reason = error.message if isinstance(error, AddressError) else "it is malformed"
        raise NotTrustedError(
            f"{address} redirects to an address that cannot be used: {reason}",
            hint="Tell the repository's operator",
        ) from None
    if address.scheme == "https" and target.scheme == "http":
        raise NotTrustedError(
            f"{address.netloc} redirects from https to the unencrypted {target.origin}",
            hint="Use another network, or tell the repository's operator; nothing was requested "
            "from there",
        )
    return target


def _is_worth_another_attempt(error: urllib3.exceptions.HTTPError) -> bool:
    """Return whether the same request may succeed at once. What timed out has waited enough."""
    if isinstance(error, urllib3.exceptions.ProxyError):
        return False
    if isinstance(error, urllib3.exceptions.NewConnectionError):
        return True
    return not isinstance(error, (urllib3.exceptions.TimeoutError, urllib3.exceptions.SSLError))
