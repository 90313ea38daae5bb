"""HTTP for strangers: what one of them can hold is bounded in time, in bytes and in connections."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import time
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from repoint.page.timed_protocol import SECONDS_TO_READ, AnswerTimer, RequestTimer, end_in_time

SECONDS: Final = 25.0
"""Seconds that a client may take to send a request, and that it may stay silent before it."""

_LONGEST_HEAD: Final = 32 * 1024
_LONGEST_REQUEST: Final = 20 * 1024 * 1024
"""Bytes with the head, and with what surrounds the parts of a body."""

_LONGEST_PIPELINE: Final = 16
"""Requests that wait while another one is answered. Devices and proxies send none in advance."""
_MOST_AHEAD: Final = 256 * 1024
"""Bytes that are taken while requests wait. Those of one reading come on top."""

_MOST_CONNECTIONS: Final = 4096
FOR_READERS: Final = 64
"""Connections of programs that read. Devices cannot take them."""
_FOR_OTHERS: Final = 256
"""Descriptors for the database, its files, the store of events and the repository."""
_FEWEST: Final = 16


class Connections:
    """The connections of one listener.

    Args:
        most: How many there may be. When all are taken, the one that has waited longest for its
            client ends: for a request, for the rest of it, or until the client reads.
        patience: Seconds of work on an answer after which its connection ends as well, if none
            waits for its client.
    """

    def __init__(self, most: int, patience: float = SECONDS) -> None:
        self._most = most
        self._patience = patience
        self._waiting: dict[StrangersProtocol, None] = {}
        self._answering: dict[StrangersProtocol, float] = {}

    def admit(self, protocol: StrangersProtocol, number: int) -> None:
        """Take a new connection, which may end another, or itself."""
        self.wait(protocol)
        if number > self._most:
            oldest = self._oldest(protocol)
            self.forget(oldest)
            oldest.transport.abort()

    def wait(self, protocol: StrangersProtocol) -> None:
        """Note that a connection waits for its client from now on."""
        self.forget(protocol)
        self._waiting[protocol] = None

    def answer(self, protocol: StrangersProtocol) -> None:
        """Note that the request of a connection is complete, and its client waits."""
        self.forget(protocol)
        self._answering[protocol] = time.monotonic()

    def forget(self, protocol: StrangersProtocol) -> None:
        """Note that a connection has ended."""
        self._waiting.pop(protocol, None)
        self._answering.pop(protocol, None)

    def _oldest(self, new: StrangersProtocol) -> StrangersProtocol:
        oldest = next(iter(self._waiting))
        if oldest is new:
            for answering, since in self._answering.items():
                # A slow database delays all answers, and who gets none comes back.
                return answering if time.monotonic() - since > self._patience else new
        return oldest


class _TooManyRequestsError(Exception):
    """Ends the parsing of what has arrived; the connection has ended."""


class StrangersProtocol(HttpToolsProtocol):
    """HTTP with limits for each request, and a number of connections.

    Args:
        connections: The connections of the listener.
        seconds: The time that a client may take to send a request, however many bytes arrive.
        reading: The time in which a client has to read a part of the answer.
    """

    def __init__(
        self,
        *arguments: Any,
        connections: Connections,
        seconds: float = SECONDS,
        reading: float = SECONDS_TO_READ,
        **named: Any,
    ) -> None:
        super().__init__(*arguments, **named)
        self._reading = reading
        self._room = connections
        self._seconds = seconds
        self._size = 0
        self._in_head = True
        self._ahead = 0
        self._answered: RequestResponseCycle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Accept a connection."""
        super().connection_made(transport)
        self._timer = RequestTimer(transport, self._seconds)
        self._unread = AnswerTimer(transport, self._reading)
        self._timer.follow(None)
        self._room.admit(self, len(self.connections))

    def data_received(self, data: bytes) -> None:
        """Process what the client has sent."""
        # Each answer lets uvicorn read on, and each reading may hold thousands of requests.
        self._ahead = self._ahead + len(data) if self.pipeline else 0
        # What came before counts: these bytes may hold the end of the head, and much of the body.
        if self._in_head and self._size > _LONGEST_HEAD:
            self.send_400_response("The head of the request is too long")
        elif self._size > _LONGEST_REQUEST or self._ahead > _MOST_AHEAD:
            self.transport.abort()
        else:
            self._size += len(data)
            super().data_received(data)
            self._timer.follow(self.cycle)

    def on_message_begin(self) -> None:
        """Begin to read a request."""
        super().on_message_begin()
        self._room.wait(self)
        self._size = 0
        self._in_head = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; what comes after the body is none."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer the request."""
        if len(self.pipeline) >= _LONGEST_PIPELINE:
            self.transport.abort()
            raise _TooManyRequestsError  # the parser calls nothing more
        self._in_head = False
        super().on_headers_complete()
        if not self.pipeline:
            self._answered = self.cycle

    def on_message_complete(self) -> None:
        """Note that the request is complete."""
        super().on_message_complete()
        # The body of a request that was refused by its head comes after the answer.
        # A client that has to read first is not who waits.
        if not self.cycle.response_complete and not self.flow.write_paused:
            self._room.answer(self)

    def on_response_complete(self) -> None:
        """Prepare for the next request, part of which may have arrived."""
        if self.pipeline:
            self._answered, _ = self.pipeline[-1]  # the next one; uvicorn begins it now
        super().on_response_complete()
        self._unread.start()
        if self.cycle.response_complete:
            self._timer.stop()  # uvicorn closes a connection that stays idle
            self._room.wait(self)
        else:
            self._timer.follow(self.cycle)

    def send_400_response(self, msg: str) -> None:
        """Refuse what cannot be understood."""
        if not self.transport.is_closing():
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Wait until the client has read."""
        super().pause_writing()
        self._room.wait(self)
        self._unread.start()

    def resume_writing(self) -> None:
        """Go on, as the client has read."""
        super().resume_writing()
        if self.cycle.more_body or self.cycle.response_complete:
            self._room.wait(self)
        else:
            self._room.answer(self)
        self._unread.restart()

    def shutdown(self) -> None:
        """Finish what has begun, as the server stops."""
        super().shutdown()
        end_in_time(self.transport, lambda: self.cycle, self.config.timeout_graceful_shutdown)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        super().connection_lost(exc)
        if self._answered is not None:
            self._answered.disconnected = True  # uvicorn only tells the last request that came
        self.pipeline.clear()
        self._timer.stop()
        self._unread.stop()
        self._room.forget(self)


def room_for_devices() -> int:
    """Raise the limit of open descriptors, and return how many are for connections of devices."""
    wanted = _MOST_CONNECTIONS + FOR_READERS + _FOR_OTHERS
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        higher = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        with contextlib.suppress(OSError, ValueError):  # a sandbox may forbid it
            resource.setrlimit(resource.RLIMIT_NOFILE, (higher, hard))
            soft = higher
    permitted = wanted if soft == resource.RLIM_INFINITY else min(wanted, soft)
    return max(_FEWEST, permitted - FOR_READERS - _FOR_OTHERS)
