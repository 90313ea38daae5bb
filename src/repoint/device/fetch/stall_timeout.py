"""The stall timeout: a transfer that is too slow is aborted.

HTTP libraries offer a timeout for each single read. That does not help against a server that sends
one byte before each timeout ends.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import TYPE_CHECKING, Any

from tuf.api.exceptions import SlowRetrievalError
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError

if TYPE_CHECKING:
    from urllib3.response import BaseHTTPResponse, HTTPResponse

CHUNK = 1 << 18

# A server that sends less than this over a whole window is stalling, on purpose or not. What has
# arrived is kept, so that aborting costs nothing.
_MIN_RATE = 1024  # bytes per second
_WINDOW = 30.0  # seconds

_WAIT_INTERVAL = 0.5
"""Seconds between two calls of `on_wait`: the delay of a cancellation while a download stalls."""


def read_chunks(
    response: BaseHTTPResponse, *, on_wait: Callable[[], None] | None = None
) -> Generator[bytes, None, None]:
    """Yield the body of a response in chunks.

    Args:
        response: The response.
        on_wait: Called periodically from another thread while no data arrives. An exception that it
            raises aborts the response and is raised here.

    Raises:
        SlowRetrievalError: The body arrives too slowly.
    """
    started = time.monotonic()
    received = 0
    with _reader(response, on_wait) as read:
        while chunk := read():
            received += len(chunk)
            yield chunk
            elapsed = time.monotonic() - started
            if elapsed > _WINDOW:
                if received < _MIN_RATE * elapsed:
                    raise SlowRetrievalError(f"{received} bytes in {elapsed:.0f} s")
                started, received = time.monotonic(), 0


@contextlib.contextmanager
def _reader(
    response: BaseHTTPResponse, on_wait: Callable[[], None] | None
) -> Iterator[Callable[[], bytes]]:
    """Provide a function that reads the next chunk, and call `on_wait` while it blocks."""
    if on_wait is None:
        yield lambda: response.read1(CHUNK)
        return
    reading_paused = threading.Lock()
    finished = threading.Event()
    raised: list[Exception] = []

    def call_on_wait() -> None:
        while not finished.wait(_WAIT_INTERVAL):
            if not reading_paused.acquire(blocking=False):
                continue
            try:
                on_wait()
            except Exception as error:
                raised.append(error)
                with contextlib.suppress(
                    OSError, RuntimeError, ValueError
                ):  # the response has ended
                    response.shutdown()
                return
            finally:
                reading_paused.release()

    def read() -> bytes:
        reading_paused.release()
        try:
            chunk = response.read1(CHUNK)
        except HTTPError:
            if not raised:
                raise
            chunk = b""
        finally:
            reading_paused.acquire()
        if raised:
            raise raised[0]
        return chunk

    waiter = threading.Thread(target=call_on_wait, daemon=True)
    reading_paused.acquire()
    waiter.start()
    try:
        yield read
    finally:
        finished.set()
        waiter.join()


class _TimedConnection(HTTPConnection):
    """A connection that is closed if a response's header does not arrive within one window."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as in urllib3
        finished = threading.Event()

        def disconnect() -> None:
            finished.set()
            with contextlib.suppress(OSError, AttributeError):
                self.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_WINDOW, disconnect)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        except Exception as error:
            if finished.is_set():
                raise TimeoutError(f"no complete header within {_WINDOW:.0f} s") from error
            raise
        finally:
            timer.cancel()


class _TimedTlsConnection(_TimedConnection, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _TimedConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TimedTlsConnection


POOLS: dict[str, Any] = {"http": _Pool, "https": _TlsPool}
"""Connection pools that use these connections, by scheme."""
