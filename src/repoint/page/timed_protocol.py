"""HTTP with limits of time, so that clients that send or read slowly hold no connection."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from uvicorn.protocols.http.h11_impl import H11Protocol

SECONDS_TO_READ: Final = 25.0
"""Seconds after which it is looked again whether a client reads what it is sent."""

_LEAST_SPEED: Final = 1024
"""Bytes a second that a client has to take."""

_TIME_TO_LEAVE: Final = 0.6
"""The part of the time to finish that clients get, of a server that stops."""


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


class AnswerTimer:
    """Ends a connection whose client does not read what it is sent.

    Nothing else would: uvicorn waits until it has read, and so does the end of an idle connection.

    Args:
        transport: The connection.
        seconds: The time in which a client has to read a part of what waits for it.
    """

    def __init__(self, transport: asyncio.WriteTransport, seconds: float) -> None:
        self._transport = transport
        self._seconds = seconds
        self._left = 0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Run while something waits for the client. Call this when something was sent."""
        if self._timer is None and (size := self._transport.get_write_buffer_size()):
            self._left = size
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._look)

    def restart(self) -> None:
        """Begin anew. Call this when the client has read."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        most = self._left - int(_LEAST_SPEED * self._seconds)
        if self._transport.get_write_buffer_size() > max(0, most):
            self._transport.abort()
        else:
            self.start()


def end_in_time(
    transport: asyncio.WriteTransport, cycle: Callable[[], Cycle | None], seconds: int | None
) -> None:
    """End a connection before its server stops waiting for it, if the client is what it waits for.

    uvicorn would cancel the request, with a traceback.

    Args:
        transport: The connection.
        cycle: Returns the request that came last.
        seconds: The time that the server gives its connections.
    """

    def end() -> None:
        last = cycle()
        answers = last is not None and not last.more_body and not last.response_complete
        if not answers or transport.get_write_buffer_size():
            transport.abort()

    if seconds is not None:
        asyncio.get_running_loop().call_later(_TIME_TO_LEAVE * seconds, end)


class TimedProtocol(H11Protocol):
    """HTTP with limits of time.

    ``seconds`` is the time that a client may take to send a request, however many bytes arrive.
    ``reading`` is the time in which it has to read a part of the answer.
    """

    def __init__(
        self, *arguments: Any, seconds: float, reading: float = SECONDS_TO_READ, **named: Any
    ) -> None:
        super().__init__(*arguments, **named)
        self._seconds = seconds
        self._reading = reading

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection."""
        super().connection_made(transport)
        self._timer = RequestTimer(transport, self._seconds)
        self._unread = AnswerTimer(transport, self._reading)
        self._timer.follow(self.cycle)

    def data_received(self, data: bytes) -> None:
        """Process what the client has sent."""
        super().data_received(data)
        self._timer.follow(self.cycle)

    def on_response_complete(self) -> None:
        """Prepare for the next request, part of which may have arrived."""
        super().on_response_complete()
        self._unread.start()
        if self.cycle.response_complete:
            self._timer.stop()  # uvicorn closes a connection that stays idle
        else:
            self._timer.follow(self.cycle)

    def pause_writing(self) -> None:
        """Wait until the client has read."""
        super().pause_writing()
        self._unread.start()

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        super().resume_writing()
        self._unread.restart()

    def shutdown(self) -> None:
        """Finish what has begun, as the server stops."""
        super().shutdown()
        end_in_time(self.transport, lambda: self.cycle, self.config.timeout_graceful_shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        self._timer.stop()
        self._unread.stop()
