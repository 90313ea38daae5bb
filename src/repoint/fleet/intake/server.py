"""The process of the collector: its sockets, its writer and what it does from time to time."""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import uvicorn
from starlette.types import ASGIApp

from repoint.fleet.intake.group_commit import GroupCommit

_SECONDS_TO_FINISH: Final = 5
_MOST_CONNECTIONS: Final = 4096


@dataclass(frozen=True)
class Served:
    """An application and the socket that it is served on."""

    app: ASGIApp
    listener: socket.socket


async def run(
    served: list[Served],
    writer: GroupCommit,
    jobs: list[Callable[[], Awaitable[None]]],
    ready: Callable[[], None],
) -> None:
    """Serve applications until SIGINT or SIGTERM; then write what waits.

    Args:
        served: The applications. They share the event loop.
        writer: Takes what the applications give it; runs until all of them have ended.
        jobs: What runs beside them, until it is cancelled.
        ready: Called when all applications accept requests.
    """
    # Warnings are about what strangers send, which must not fill the journal.
    logging.getLogger("uvicorn").setLevel(logging.ERROR)
    servers = [_Server(each) for each in served]
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    writing = asyncio.create_task(writer.run())
    serving = [asyncio.create_task(server.serve_on()) for server in servers]
    others = [asyncio.ensure_future(job()) for job in jobs]
    waiting = asyncio.create_task(stop.wait())
    try:
        while not all(server.started for server in servers) and not stop.is_set():
            await asyncio.sleep(0.01)
        ready()
        await asyncio.wait([waiting, *serving, writing], return_when=asyncio.FIRST_COMPLETED)
    finally:
        waiting.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving)
        writer.close()
        await writing
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)


class _Server(uvicorn.Server):
    def __init__(self, served: Served) -> None:
        super().__init__(
            uvicorn.Config(
                served.app,
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                limit_concurrency=_MOST_CONNECTIONS,
                timeout_graceful_shutdown=_SECONDS_TO_FINISH,
            )
        )
        self._listener = served.listener

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to `run`, which stops all servers together."""
        yield

    async def serve_on(self) -> None:
        """Serve until `should_exit` is set."""
        await self.serve(sockets=[self._listener])
