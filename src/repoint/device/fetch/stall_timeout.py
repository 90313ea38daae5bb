"""How long a device waits for a server: what comes too slowly is given up.

A time limit for each single read, which is what HTTP libraries offer, does not help against a
server that sends one byte before each limit ends.
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

# A server that sends less than this over a whole window is stalling on purpose or as good as
# that; what has come is kept, so that giving up costs nothing.
_SLOWEST = 1024  # bytes a second
_WINDOW = 30.0  # seconds


# A person who stops a download that stalls is not kept waiting longer than this.
_BEAT = 0.5  # seconds


def watched(
    response: BaseHTTPResponse, *, meanwhile: Callable[[], None] | None = None
) -> Generator[bytes, None, None]:
    """The body of an answer in chunks, as long as it comes at a bearable speed.

    Args:
        response: The answer.
        meanwhile: Called now and then while nothing comes, in another thread; an exception from it
            cuts the answer off, and is raised here.

    Raises:
        SlowRetrievalError: It does not.
    """
    started = time.monotonic()
    came = 0
    with _asking(response, meanwhile) as read:
        while chunk := read():
            came += len(chunk)
            yield chunk
            passed = time.monotonic() - started
            if passed > _WINDOW:
                if came < _SLOWEST * passed:
                    raise SlowRetrievalError(f"{came} bytes in {passed:.0f} s")
                started, came = time.monotonic(), 0


@contextlib.contextmanager
def _asking(
    response: BaseHTTPResponse, meanwhile: Callable[[], None] | None
) -> Iterator[Callable[[], bytes]]:
    """Reads the next chunk; calls ``meanwhile`` only while that waits."""
    if meanwhile is None:
        yield lambda: response.read1(CHUNK)
        return
    at_work = threading.Lock()
    over = threading.Event()
    raised: list[Exception] = []

    def ask() -> None:
        while not over.wait(_BEAT):
            if not at_work.acquire(blocking=False):
                continue
            try:
                meanwhile()
            except Exception as error:
                raised.append(error)
                with contextlib.suppress(OSError, RuntimeError, ValueError):  # it has ended
                    response.shutdown()
                return
            finally:
                at_work.release()

    def read() -> bytes:
        at_work.release()
        try:
            chunk = response.read1(CHUNK)
        except HTTPError:
            if not raised:
                raise
            chunk = b""
        finally:
            at_work.acquire()
        if raised:
            raise raised[0]
        return chunk

    asking = threading.Thread(target=ask, daemon=True)
    at_work.acquire()
    asking.start()
    try:
        yield read
    finally:
        over.set()
        asking.join()


class _Impatient(HTTPConnection):
    """A connection that is cut off if the head of an answer has not come within one window."""

    def getresponse(self) -> HTTPResponse:  # type: ignore[override]  # as urllib3 has it
        over = threading.Event()

        def hang_up() -> None:
            over.set()
            with contextlib.suppress(OSError, AttributeError):
                self.sock.shutdown(socket.SHUT_RDWR)

        timer = threading.Timer(_WINDOW, hang_up)
        timer.daemon = True
        timer.start()
        try:
            return super().getresponse()
        except Exception as error:
            if over.is_set():
                raise TimeoutError(f"no whole answer within {_WINDOW:.0f} s") from error
            raise
        finally:
            timer.cancel()


class _ImpatientTls(_Impatient, HTTPSConnection):
    """The same over TLS."""


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Impatient


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _ImpatientTls


POOLS: dict[str, Any] = {"http": _Pool, "https": _TlsPool}
"""Pools of such connections, by scheme."""
