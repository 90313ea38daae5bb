"""Clients that do not read what they are sent hold neither a connection nor memory."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from repoint.fleet.intake.protocol import FOR_READERS, Connections, StrangersProtocol
from repoint.page.timed_protocol import AnswerTimer, TimedProtocol
from tests.fleet.collector import CollectorProcess, memory_of, serving
from tests.fleet.reports import count

ROOM = 16
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
LONG = 20_000_000


class Transport(asyncio.WriteTransport):
    """A connection of which this many bytes wait, each time that somebody asks."""

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.sizes = sizes
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.sizes.pop(0)

    def abort(self) -> None:
        self.aborted = True


@pytest.mark.parametrize(
    ("sizes", "ends"),
    [((500, 500), True), ((500, 499), True), ((90_000, 90_000), True), ((500, 0, 0), False),
     ((90_000, 80_000, 80_000, 70_000, 70_000, 0, 0), False),
     ((90_000, 80_000, 80_000, 79_999), True)],
)  # fmt: skip
def test_who_reads_keeps_the_connection(sizes: tuple[int, ...], ends: bool) -> None:
    async def main() -> None:
        transport = Transport(list(sizes))
        AnswerTimer(transport, 0.01).start()
        while transport.sizes:
            await asyncio.sleep(0.001)
        assert transport.aborted == ends

    asyncio.run(main())


def unread(port: int) -> socket.socket:
    """Connect, as a client that will not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    client.settimeout(20)
    client.connect(("127.0.0.1", port))
    return client


class LongAnswers:
    """Gives long answers, and notices when nobody wants them any more."""

    def __init__(self) -> None:
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        headers = [(b"content-length", str(LONG).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        self.begun.release()
        await send({"type": "http.response.body", "body": b" " * (LONG // 2), "more_body": True})
        await send({"type": "http.response.body", "body": b" " * (LONG // 2)})
        while (await receive())["type"] != "http.disconnect":
            pass
        self.ended.release()


def protocols(reading: float, room: int = 10) -> list[Callable[..., Any]]:
    return [
        functools.partial(StrangersProtocol, connections=Connections(room), reading=reading),
        functools.partial(TimedProtocol, seconds=20, reading=reading),
    ]


@pytest.mark.parametrize("number", [0, 1], ids=["for devices", "of the pages"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_an_answer_that_is_not_read_ends_its_connection(
    number: int, loop: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    app = LongAnswers()
    with serving(app, http=protocols(0.2)[number], loop=loop) as port, unread(port) as client:
        client.sendall(REQUEST)
        assert app.ended.acquire(timeout=20)
    assert caplog.records == []


@pytest.mark.parametrize("number", [0, 1], ids=["for devices", "of the pages"])
def test_a_server_that_stops_does_not_wait_for_who_does_not_read(
    number: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.ERROR)
    app = LongAnswers()
    with (
        ExitStack() as clients,
        serving(app, http=protocols(60)[number], timeout_graceful_shutdown=2) as port,
    ):
        clients.enter_context(unread(port)).sendall(REQUEST)
        assert app.begun.acquire(timeout=20)
    assert caplog.records == []


def test_an_answer_that_is_not_read_makes_room_for_a_new_connection() -> None:
    app = LongAnswers()
    with serving(app, http=protocols(60, room=2)[0]) as port, ExitStack() as stack:
        for _ in range(2):
            stack.enter_context(unread(port)).sendall(REQUEST)
            assert app.begun.acquire(timeout=20)
        stack.enter_context(unread(port)).sendall(REQUEST)
        assert app.begun.acquire(timeout=20)
        assert app.ended.acquire(timeout=20)


def test_clients_that_never_read_keep_nobody_out(tmp_path: Path) -> None:
    collector = CollectorProcess(
        f"sqlite:///{tmp_path}/fleet.db", "--limit", "0", descriptors=256 + FOR_READERS + ROOM
    )
    before = memory_of(collector.process.pid)
    with ExitStack() as stack:
        for _ in range(3 * ROOM):
            client = stack.enter_context(unread(collector.port))
            # More than that ends the connection at once.
            for _ in range(10):
                client.sendall(REQUEST)
        assert collector.send([count()]).status == 202
        assert memory_of(collector.process.pid) - before < 20_000_000
        assert collector.stop() == 0
    assert collector.lines == []
