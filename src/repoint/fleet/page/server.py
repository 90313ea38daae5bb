"""The server process of the page: it listens until it is stopped."""

from __future__ import annotations

import asyncio
import functools
import signal
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from repoint.fleet.page.app import create_app, create_renderer
from repoint.fleet.page.state import PageState
from repoint.fleet.page.warming import Warming
from repoint.page.timed_protocol import TimedProtocol

_AT_ONCE = 256
"""Connections; more are answered with status 503."""

_SECONDS = 10.0
"""Seconds that a client may take to send a request."""


def serve(page: PageState, listener: socket.socket, ready: Callable[[], None]) -> None:
    """Serve the page until the process gets SIGINT or SIGTERM.

    Args:
        page: The state of the page.
        listener: The socket that it listens on.
        ready: Called when the first view is quick.
    """
    # uvicorn raises a signal again after it has shut down; this process must end quietly.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    renderer = create_renderer()
    server = uvicorn.Server(configure(create_app(page, renderer), behind_proxy=page.address.secure))
    try:
        Warming(page, renderer).start_and_wait()
        ready()
        asyncio.run(server.serve(sockets=[listener]))
    finally:
        listener.close()


def configure(app: ASGIApp, *, behind_proxy: bool) -> uvicorn.Config:
    """Return the settings of the server.

    Args:
        app: The application.
        behind_proxy: Whether to believe a proxy on this machine, or one that FORWARDED_ALLOW_IPS
            names, about whom it stands for.
    """
    return uvicorn.Config(
        app,
        http=functools.partial(TimedProtocol, seconds=_SECONDS),  # type: ignore[arg-type]
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        proxy_headers=behind_proxy,
        limit_concurrency=_AT_ONCE,
        timeout_graceful_shutdown=2,
    )


def _exit(*_: object) -> None:
    raise SystemExit(0)
