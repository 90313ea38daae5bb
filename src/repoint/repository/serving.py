"""An HTTP server for a repository, to try things out and for small fleets."""

from __future__ import annotations

import copy
import errno
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from uvicorn.config import LOGGING_CONFIG

from repoint.repository.errors import CannotServeError

_SECONDS_TO_FINISH = 3
"""Seconds that downloads may continue after the server is stopped."""


def serve(
    public: Path,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    access_log: bool = False,
) -> None:
    """Serve the folder ``public`` until SIGINT or SIGTERM.

    Range and If-None-Match requests are supported. Folders are not listed, and links that lead out
    of the folder are not followed.

    Args:
        public: The folder.
        host: Name or address to listen on.
        port: Port to listen on; 0 chooses a free one.
        ready: Called with the URL when the server accepts requests.
        access_log: Print one line per request.

    Raises:
        CannotServeError: The folder does not exist, or the address is not available.
    """
    if not public.is_dir():
        raise CannotServeError(
            f"There is no folder {public}", hint="Name the folder of a repository"
        )
    if not 0 <= port <= 65535:
        raise CannotServeError(f"{port} is not a port", hint="Choose one from 0 to 65535")
    with _listen(host, port) as listener:
        display = f"[{host}]" if ":" in host else host
        server = _Server(
            _config(public, access_log), f"http://{display}:{listener.getsockname()[1]}/", ready
        )
        # uvicorn raises the signal again for the previous handler. Nothing is left to do then, so
        # the previous handler is one that only records it.
        signals = (signal.SIGINT, signal.SIGTERM)
        in_main_thread = threading.current_thread() is threading.main_thread()
        previous = {s: signal.signal(s, server.handle_exit) for s in signals if in_main_thread}
        try:
            server.run(sockets=[listener])
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, url: str, ready: Callable[[str], None]) -> None:
        super().__init__(config)
        self._url = url
        self._ready = ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._ready(self._url)


def _config(public: Path, access_log: bool) -> uvicorn.Config:
    logging = copy.deepcopy(LOGGING_CONFIG)
    logging["loggers"]["uvicorn"]["level"] = "WARNING"
    logging["loggers"]["uvicorn.error"]["level"] = "WARNING"
    return uvicorn.Config(
        Starlette(routes=[Mount("/", StaticFiles(directory=public))]),
        log_config=logging,
        access_log=access_log,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=_SECONDS_TO_FINISH,
    )


_REASONS = {
    errno.EADDRNOTAVAIL: "it is not an address of this machine",
    errno.EADDRINUSE: "another program listens there",
    errno.EACCES: "ports below 1024 are for root",
}


def _cannot_listen(host: str, port: int, reason: str) -> CannotServeError:
    if reason == _REASONS[errno.EADDRINUSE]:
        hint = "Stop that program, or choose another port with --port"
    elif reason == _REASONS[errno.EACCES]:
        hint = "Choose another port with --port, such as 8750"
    else:
        hint = "Use 127.0.0.1 for this machine only, or 0.0.0.0 for all its networks"
    return CannotServeError(f"Cannot listen on {host[:60]!r}, port {port}: {reason}", hint=hint)


def _listen(host: str, port: int) -> socket.socket:
    if not host.strip():
        raise CannotServeError(
            "The address to listen on is empty",
            hint="Use 127.0.0.1 for this machine only, or 0.0.0.0 for all its networks",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except UnicodeError:
        raise _cannot_listen(host, port, "it is not a host name") from None
    except OSError as error:
        number = error.errno or 0
        # The resolver's own errors have negative numbers.
        unknown = "no address has this name" if number < 0 else os.strerror(number)
        raise _cannot_listen(host, port, _REASONS.get(number, unknown)) from None
    # Connections inherit it. Headers and body are sent separately; without it, the body waits 40 ms
    # for the acknowledgement of the headers.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
