"""The server process: takes its sockets from systemd or opens them, and stops when idle."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from repoint.page.app import create_app
from repoint.page.app_state import HOST, AppState
from repoint.page.connections import PageProtocol
from repoint.page.control_server import ControlServer, listen_at
from repoint.page.page_store import PageStore

IDLE_TIMEOUT = 600.0
"""Seconds without a request until the server stops."""

ACCEPTED_AT_ONCE = 64
"""Connections that are accepted before those that are already open are served again. Each takes a
descriptor before its account is known, so a burst could use up all that the process may have."""

_QUEUE = 2048
"""Connections that wait in the kernel until they are accepted."""

_FIRST_FD = 3
"""The first descriptor that systemd passes (man 3 sd_listen_fds)."""


@dataclass(frozen=True)
class Listeners:
    """The two sockets of a server.

    Attributes:
        control: The control socket.
        page: The page's socket, on loopback.
        path: Where this process created the control socket; None if systemd did.
        inode: The inode of the socket that this process created.
    """

    control: socket.socket
    page: socket.socket
    path: Path | None = None
    inode: int = 0


def open_listeners(store: Path, environment: Mapping[str, str]) -> Listeners:
    """Take over the sockets that systemd passes, and open the others."""
    passed = {listener.family: listener for listener in _activated(environment)}
    page = passed.get(socket.AF_INET) or socket.create_server((HOST, 0))
    # Head and body are sent apart. Without this, the body would wait for an acknowledgement.
    page.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    control = passed.get(socket.AF_UNIX)
    if control is not None:
        return Listeners(control, page)
    path = PageStore(store).socket
    control = listen_at(path, everybody=os.geteuid() == 0)
    return Listeners(control, page, path, path.stat().st_ino)


def serve(store: Path, *, idle: float = IDLE_TIMEOUT) -> None:
    """Serve the page of a device until it is idle.

    Args:
        store: The device's store.
        idle: Seconds without a request until the server stops.
    """
    # uvicorn raises a signal again after it has shut down; this process must clean up even then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _exit)
    listeners = open_listeners(store, os.environ)
    try:
        asyncio.run(_serve(store, listeners, idle))
    finally:
        _remove_own_socket(listeners)
        listeners.page.close()


def _exit(*_: object) -> None:
    raise SystemExit(0)


async def _serve(store: Path, listeners: Listeners, idle: float) -> None:
    app = AppState(store, listeners.page.getsockname()[1])
    server = _Server(
        uvicorn.Config(
            create_app(app, idle),
            http=functools.partial(PageProtocol, connections=app.connections),  # type: ignore[arg-type]
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=2,
            backlog=ACCEPTED_AT_ONCE,
        )
    )
    control = await ControlServer(app).listen(listeners.control)
    watchdog = asyncio.create_task(_stop_when_idle(server, app, idle))
    try:
        await server.serve(sockets=[listeners.page])
    finally:
        watchdog.cancel()
        control.close()
        await asyncio.to_thread(app.jobs.shut_down)


class _Server(uvicorn.Server):
    """A server with a queue that is longer than what it accepts at once."""

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # asyncio takes one number for both.
        for listener in sockets or ():
            listener.listen(_QUEUE)


async def _stop_when_idle(server: uvicorn.Server, app: AppState, seconds: float) -> None:
    while not server.should_exit:
        await asyncio.sleep(min(1.0, seconds / 4))
        if not app.jobs.pending() and app.idle.seconds() > seconds:
            server.should_exit = True


def _activated(environment: Mapping[str, str]) -> list[socket.socket]:
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(_FIRST_FD, _FIRST_FD + count)]


def _remove_own_socket(listeners: Listeners) -> None:
    """Remove our control socket, unless another server has replaced it."""
    if listeners.path is not None:
        with contextlib.suppress(OSError):
            if listeners.path.stat().st_ino == listeners.inode:
                listeners.path.unlink()
