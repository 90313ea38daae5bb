"""A server for the repository at a chosen address: devices pin it, and each judge has its own."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from tests.serving import WebServer, _handler


@dataclass
class PlacedServer(WebServer):
    """A `WebServer` at an address."""

    address: tuple[str, int] = ("127.0.0.1", 0)

    def __post_init__(self) -> None:
        self.open(_handler(self), self.address)


def free_port() -> int:
    """Return a port on which nothing listens."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
