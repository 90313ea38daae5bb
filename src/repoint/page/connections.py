"""The connections to the page: whose they are, how many an account has, and how long they wait."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from repoint.host.kernel.peers import uid_of_peer
from repoint.page.auth.account_limits import AccountLimits


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


class PageProtocol(H11Protocol):
    """HTTP over a connection whose account is known, with a time limit for each request.

    ``request.state.connection`` is the `Connection`.
    """

    def __init__(self, *arguments: Any, connections: Connections, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._connections = connections
        self._uid: int | None = None
        self._timer: asyncio.TimerHandle | None = None

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
        self._limit_time()

    def data_received(self, data: bytes) -> None:
        """Process what the client has sent."""
        if self._uid is not None:
            super().data_received(data)
            self._limit_time()

    def on_response_complete(self) -> None:
        """Prepare for the next request, part of which may have arrived."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._stop_timer()  # uvicorn closes a connection that stays idle
        else:
            self._limit_time()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._stop_timer()
        if self._uid is not None:
            self._connections.release(self._uid)
            self._uid = None

    def _limit_time(self) -> None:
        """Run the timer while a request is incomplete. More bytes of it do not extend the time."""
        cycle = self.cycle
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self._stop_timer()
        elif self._timer is None:
            self._timer = self.loop.call_later(self._connections.timeout, self.transport.abort)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
