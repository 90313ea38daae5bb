"""Serving a repository over HTTP, for trying things out and for small fleets."""

from __future__ import annotations

import copy
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
"""How long downloads may go on after the server was told to stop."""


def serve(
    public: Path,
    host: str,
    port: int,
    ready: Callable[[str], None],
    *,
    access_log: bool = False,
) -> None:
    """Serve the folder ``public`` until SIGINT or SIGTERM.

    Devices may ask for parts of files (Range) and whether a file changed (If-None-Match). Folders
    are not listed, and links that lead out of the folder are not followed.

    Args:
        public: The folder.
        host: Name or address to listen at.
        port: Port to listen at; 0 takes a free one.
        ready: Called with the URL once requests are answered.
        access_log: Print one line per request.

    Raises:
        CannotServeError: The folder is not there, or the address cannot be had.
    """
    if not public.is_dir():
        raise CannotServeError(f"There is no folder {public}", hint="Give a repository's folder")
    if not 0 <= port <= 65535:
        raise CannotServeError(f"{port} is not a port", hint="Choose one from 0 to 65535")
    with _listen(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        server = _Server(
            _config(public, access_log), f"http://{shown}:{listener.getsockname()[1]}/", ready
        )
        # uvicorn raises the signal again for whoever handled it before; a served folder has
        # nothing left to do then, so the handler before is one that only notes it.
        signals = (signal.SIGINT, signal.SIGTERM)
        in_main_thread = threading.current_thread() is threading.main_thread()
        former = {s: signal.signal(s, server.handle_exit) for s in signals if in_main_thread}
        try:
            server.run(sockets=[listener])
        finally:
            for number, handler in former.items():
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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise CannotServeError(
            f"Cannot listen at {host}, port {port}: {error.strerror or error}",
            hint="Stop what listens there, or choose another port",
        ) from None
    # Connections inherit it. Head and body are sent apart, and without it the body waits 40 ms
    # for the acknowledgement of the head.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listener
