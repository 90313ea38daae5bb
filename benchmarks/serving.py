"""One static server for all sides, which counts its requests and every byte on the wire.

It serves files as `repoint serve` does, with entity tags and parts of files.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol


@dataclass(frozen=True)
class Request:
    """One request, its answer's status and the bytes of its answer's body."""

    method: str
    path: str
    status: int
    body: int


@dataclass
class Traffic:
    """What went over the wire.

    Attributes:
        requests: All of them, in order.
        sent: Bytes that the server sent, heads and bodies.
        received: Bytes that the server received.
    """

    requests: list[Request] = field(default_factory=list)
    sent: int = 0
    received: int = 0

    @property
    def body(self) -> int:
        """Bytes of all answers' bodies."""
        return sum(request.body for request in self.requests)

    @property
    def heads(self) -> int:
        """Bytes of all requests, and of all answers' heads."""
        return self.sent - self.body + self.received

    @property
    def patches(self) -> int:
        """Bytes of the bodies that are patches."""
        return sum(r.body for r in self.requests if r.path.endswith(".patch"))


class Server:
    """Serves folders, each below its name."""

    def __init__(self, url: str, traffic: Traffic) -> None:
        self.url = url
        self._traffic = traffic

    @contextlib.contextmanager
    def counted(self) -> Iterator[Traffic]:
        """Count what the block causes. Nothing else may ask the server meanwhile."""
        self._traffic.requests, self._traffic.sent, self._traffic.received = [], 0, 0
        counted = Traffic()
        yield counted
        counted.requests = list(self._traffic.requests)
        counted.sent, counted.received = self._traffic.sent, self._traffic.received


@contextlib.contextmanager
def serving(folders: dict[str, Path]) -> Iterator[Server]:
    """Serve folders on a free port of this machine until the block ends."""
    traffic = Traffic()
    routes = [
        Mount(f"/{name}", StaticFiles(directory=folder, check_dir=False))
        for name, folder in folders.items()
    ]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        # As web servers do. Without it a body waits 40 ms for the acknowledgement of its head.
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        server = uvicorn.Server(
            uvicorn.Config(
                _counting_bodies(Starlette(routes=routes), traffic),
                http=_counting_wire(traffic),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="none",
                server_header=False,
                timeout_graceful_shutdown=3,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            yield Server(f"http://127.0.0.1:{listener.getsockname()[1]}", traffic)
        finally:
            server.should_exit = True
            thread.join()


def _counting_bodies(app: ASGIApp, traffic: Traffic) -> ASGIApp:
    async def counting(scope: Scope, receive: Receive, send: Send) -> None:
        status, body = 0, 0

        async def note(message: Message) -> None:
            nonlocal status, body
            if message["type"] == "http.response.start":
                status = message["status"]
            elif message["type"] == "http.response.body":
                body += len(message.get("body", b""))
                if not message.get("more_body"):
                    # Before it is sent: the client may be gone on the moment it has it all.
                    traffic.requests.append(Request(scope["method"], scope["path"], status, body))
            await send(message)

        await app(scope, receive, note)

    return counting


def _counting_wire(traffic: Traffic) -> type[asyncio.Protocol]:
    class Counting(H11Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            super().connection_made(cast("asyncio.Transport", _Transport(transport, traffic)))

        def data_received(self, data: bytes) -> None:
            traffic.received += len(data)
            super().data_received(data)

    return Counting


class _Transport:
    """A transport that counts what is written to it."""

    def __init__(self, transport: asyncio.BaseTransport, traffic: Traffic) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._traffic = traffic

    def write(self, data: bytes) -> None:
        self._traffic.sent += len(data)
        self._transport.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
