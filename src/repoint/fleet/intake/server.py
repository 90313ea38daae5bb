"""The process of the collector: its sockets, its writer and what it does from time to time."""

from __future__ import annotations

import asyncio
import functools
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
from repoint.fleet.intake.protocol import Connections, StrangersProtocol
from repoint.model.errors import RepointError
from repoint.model.printable import one_line

_SECONDS_TO_FINISH: Final = 5


class PartFailedError(RepointError):
    """A part of the collector has ended before the others."""


@dataclass(frozen=True)
class Served:
    """An application and the socket that it is served on.

    Attributes:
        connections: How many there may be at once.
    """

    app: ASGIApp
    listener: socket.socket
    connections: int


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

    Raises:
        PartFailedError: A server, the writer or a job has ended without being asked to. Reports
            that were acknowledged are on disk.
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
    stopped = asyncio.create_task(stop.wait())
    parts = [*serving, writing, *others]
    ended: set[asyncio.Future[None]] = set()
    try:
        while not all(server.started for server in servers) and not stop.is_set():
            await asyncio.sleep(0.01)
        ready()
        await asyncio.wait([stopped, *parts], return_when=asyncio.FIRST_COMPLETED)
        if not stop.is_set():
            ended = {part for part in parts if part.done()}
    finally:
        stopped.cancel()
        for server in servers:
            server.should_exit = True
        await asyncio.gather(*serving, return_exceptions=True)
        writer.close()
        await asyncio.gather(writing, return_exceptions=True)
        for other in others:
            other.cancel()
        await asyncio.gather(*others, return_exceptions=True)
    for part in ended:
        error = None if part.cancelled() else part.exception()
        reason = one_line(f"{type(error).__name__} {error}")[:200] if error else "it has ended"
        raise PartFailedError(
            f"A part of the collector has failed: {reason}",
            hint="Start it again; a service manager does so automatically",
        ) from error


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
                http=functools.partial(  # type: ignore[arg-type]
                    StrangersProtocol, connections=Connections(served.connections)
                ),
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
