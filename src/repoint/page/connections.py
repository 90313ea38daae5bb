"""The connections to the page: whose they are, how many an account has, and how long they wait."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from repoint.host.kernel.peers import uid_of_peer
from repoint.page.auth.account_limits import AccountLimits
from repoint.page.timed_protocol import TimedProtocol


@dataclass(frozen=True)
class Connection:
    """A connection to a client on this machine.

    Attributes:
        socket: The server's end.
    """

    socket: socket.socket

    def uid(self) -> int | None:
        """Return the account at the other end now. None if it is unknown or has gone."""
        return uid_of_peer(self.socket)


@dataclass
class Connections:
    """The open connections of a server.

    Attributes:
        limits: How many connections accounts may have.
        timeout: Seconds that a client may take to send a request.
    """

    limits: AccountLimits
    timeout: float = 10.0
    _open: Counter[int] = field(default_factory=Counter)

    def admit(self, uid: int | None) -> bool:
        """Count a new connection. False if it has to be closed."""
        if uid is None or not self.limits.admits(uid, self._open):
            return False
        self._open[uid] += 1
        return True

    def release(self, uid: int) -> None:
        """Count a connection that has ended."""
        self._open[uid] -= 1
        if not self._open[uid]:
            del self._open[uid]


class PageProtocol(TimedProtocol):
    """HTTP over a connection whose account is known, with a time limit for each request.

    ``request.state.connection`` is the `Connection`.
    """

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, seconds=connections.timeout, **named)
        self._connections = connections
        self._uid: int | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept or close a new connection."""
        super().connection_made(transport)
        connection = Connection(transport.get_extra_info("socket"))
        uid = connection.uid()
        if not self._connections.admit(uid):
            transport.abort()
            return
        self._uid = uid
        self.app_state = {**self.app_state, "connection": connection}

    def data_received(self, data: bytes) -> None:
        """Process what the client has sent."""
        if self._uid is not None:
            super().data_received(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._uid is not None:
            self._connections.release(self._uid)
            self._uid = None
