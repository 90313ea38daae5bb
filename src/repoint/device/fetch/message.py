"""Sending a message to an untrusted server, within a bounded time.

One request is sent: no redirect is followed and nothing is repeated. Of its answer, the
status, ``Retry-After`` and a few bytes count. Whatever it does, the caller goes on after the limit.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

import urllib3

from repoint.device.errors import NoNetworkError
from repoint.device.fetch.answers import retry_after, unreachable
from repoint.device.fetch.connector import Connector
from repoint.device.fetch.network import Network
from repoint.model.address import Address
from repoint.model.errors import RepointError

LIMIT = 20.0
"""Seconds after which the caller goes on, whatever the server does."""

_MOST_BYTES = 4096
"""Bytes of an answer that are read."""


@dataclass(frozen=True)
class Message:
    """A request with a JSON body.

    Attributes:
        method: The method.
        url: The address.
        body: The body.
    """

    method: str
    url: str
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a server answered.

    Attributes:
        status: The status.
        after: The seconds to wait that it asks for; 0 if it says nothing.
        body: The beginning of the body, if the status is that of a refusal.
    """

    status: int
    after: int = 0
    body: bytes = b""


def deliver(network: Network, message: Message, *, limit: float = LIMIT) -> Answer:
    """Send a message and return the answer.

    Args:
        network: How this device reaches servers.
        message: The message.
        limit: Seconds until the answer must be here.

    Raises:
        NoNetworkError: The server cannot be reached, or does not answer in time.
        RepointError: The policy does not allow the address, or the network settings are wrong.
    """
    results: list[Answer | Exception] = []

    def work() -> None:
        try:
            results.append(_exchange(network, message, time.monotonic() + limit))
        except Exception as error:  # raised below, in the thread of the caller
            results.append(error)

    # A name that resolves to a thousand dead addresses, or a resolver that hangs, has no timeout.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(limit)
    host = Address.parse(message.url).netloc
    if not results:
        raise NoNetworkError(
            f"The server at {host} did not answer within {limit:.0f} seconds",
            hint="Try again later",
        )
    result = results[0]
    if isinstance(result, Answer):
        return result
    if isinstance(result, RepointError):
        raise result
    if isinstance(result, (urllib3.exceptions.HTTPError, OSError, ValueError)):
        raise unreachable(host, result, role="server") from result
    raise result


def _exchange(network: Network, message: Message, end: float) -> Answer:
    response = Connector(network, role="server").send(message.method, message.url, message.body)
    try:
        after = retry_after(response.headers.get("Retry-After", ""))
        body = b""
        while response.status >= 400 and len(body) < _MOST_BYTES and time.monotonic() < end:
            chunk = response.read1(_MOST_BYTES - len(body))
            if not chunk:
                break
            body += chunk
        return Answer(response.status, after, body)
    finally:
        response.close()  # what is not read is not received
