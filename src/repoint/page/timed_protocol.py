"""HTTP with a limit of time for each request, so that slow clients hold no connection."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol


class Cycle(Protocol):
    """A request and its response, as uvicorn's protocols keep them."""

    more_body: bool
    response_complete: bool


class RequestTimer:
    """Ends a connection whose client takes too long to send a request.

    More bytes of it do not extend the time.

    Args:
        transport: The connection.
        seconds: The time that a client may take to send a request, however many bytes arrive.
    """

    def __init__(self, transport: asyncio.Transport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._timer: asyncio.TimerHandle | None = None

    def follow(self, cycle: Cycle | None) -> None:
        """Run while a request is incomplete. Call this after each change."""
        if cycle is not None and not cycle.more_body and not cycle.response_complete:
            self.stop()
        elif self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(self._seconds, self._transport.abort)

    def stop(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class TimedProtocol(H11Protocol):
    """HTTP with a limit of time for each request.

    ``seconds`` is the time that a client may take to send one, however many bytes arrive.
    """

    def __init__(self, *arguments: Any, seconds: float, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._seconds = seconds

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection."""
        super().connection_made(transport)
        self._timer = RequestTimer(transport, self._seconds)
        self._timer.follow(self.cycle)

    def data_received(self, data: bytes) -> None:
        """Process what the client has sent."""
        super().data_received(data)
        self._timer.follow(self.cycle)

    def on_response_complete(self) -> None:
        """Prepare for the next request, part of which may have arrived."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._timer.stop()  # uvicorn closes a connection that stays idle
        else:
            self._timer.follow(self.cycle)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._timer.stop()
