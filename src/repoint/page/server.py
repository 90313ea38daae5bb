"""The server of the page: takes its sockets from systemd or opens them, and ends when idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from repoint.page.app import page_app
from repoint.page.app_state import HOST, AppState
from repoint.page.control_socket import Control, listen_at
from repoint.page.page_store import PageStore

IDLE_SECONDS = 600.0
"""After so long without a request the server ends."""

_FIRST_FD = 3
"""Where systemd's sockets begin (man 3 sd_listen_fds)."""


@dataclass(frozen=True)
class Listeners:
    """The two sockets of a server.

    Attributes:
        control: Where links are asked for.
        page: Where the page is served, on loopback.
        path: Where we have put the control socket; nothing where systemd did.
        inode: What stood there then.
    """

    control: socket.socket
    page: socket.socket
    path: Path | None = None
    inode: int = 0


def listeners(store: Path, environment: Mapping[str, str]) -> Listeners:
    """Take over the sockets that systemd opened, and open those that it did not."""
    given = {listener.family: listener for listener in _activated(environment)}
    page = given.get(socket.AF_INET) or socket.create_server((HOST, 0))
    # Head and body are sent apart, and without it the body waits for an acknowledgement.
    page.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    control = given.get(socket.AF_UNIX)
    if control is not None:
        return Listeners(control, page)
    path = PageStore(store).socket
    control = listen_at(path, everybody=os.geteuid() == 0)
    return Listeners(control, page, path, path.stat().st_ino)


def serve(store: Path, *, idle: float = IDLE_SECONDS) -> None:
    """Serve the page of a store until nobody uses it any more."""
    # uvicorn raises a signal again when it has finished; we must still tidy up then.
    for ending in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ending, _end)
    opened = listeners(store, os.environ)
    try:
        asyncio.run(_serve(store, opened, idle))
    finally:
        _remove_own(opened)
        opened.page.close()


def _end(*_: object) -> None:
    raise SystemExit(0)


async def _serve(store: Path, opened: Listeners, idle: float) -> None:
    site = AppState(store, opened.page.getsockname()[1])
    server = uvicorn.Server(
        uvicorn.Config(
            page_app(site),
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            limit_concurrency=100,
            timeout_graceful_shutdown=2,
        )
    )
    control = await Control(site).listen(opened.control)
    ending = asyncio.create_task(_end_when_idle(server, site, idle))
    try:
        await server.serve(sockets=[opened.page])
    finally:
        ending.cancel()
        control.close()
        await asyncio.to_thread(site.jobs.finish)


async def _end_when_idle(server: uvicorn.Server, site: AppState, seconds: float) -> None:
    while not server.should_exit:
        await asyncio.sleep(min(1.0, seconds / 4))
        if site.jobs.running() is None and site.idle.seconds() > seconds:
            server.should_exit = True


def _activated(environment: Mapping[str, str]) -> list[socket.socket]:
    if environment.get("LISTEN_PID") != str(os.getpid()):
        return []
    count = int(environment.get("LISTEN_FDS", "0"))
    return [socket.socket(fileno=fd) for fd in range(_FIRST_FD, _FIRST_FD + count)]


def _remove_own(opened: Listeners) -> None:
    """Remove our socket, unless another server has put its own in its place."""
    if opened.path is not None:
        with contextlib.suppress(OSError):
            if opened.path.stat().st_ino == opened.inode:
                opened.path.unlink()
