"""Requests that come before the last one is answered: few are taken, and devices send none."""

from __future__ import annotations

import asyncio
import functools
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from repoint.fleet.intake.protocol import Connections, StrangersProtocol
from tests.fleet.collector import CollectorProcess, memory_of, serving
from tests.fleet.reports import count

REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Application:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        while not self.answers.is_set():
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.01)  # meanwhile, more arrives
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})


@contextmanager
def served(app: Application) -> Iterator[int]:
    protocol = functools.partial(StrangersProtocol, connections=Connections(10))
    with serving(app, http=protocol) as port:
        try:
            yield port
        finally:
            app.answers.set()


def ends(connection: socket.socket) -> bool:
    """Wait until the other end closes a connection."""
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        pass
    return True


def test_a_few_requests_in_advance_are_answered() -> None:
    app = Application()
    with served(app) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as early:
        early.sendall(REQUEST * 10)
        app.answers.set()
        answers = b""
        while answers.count(b"HTTP/1.1 204") < 10:
            received = early.recv(4096)
            assert received
            answers += received


def test_many_requests_in_advance_end_the_connection(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    app = Application()
    with served(app) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as early:
        early.sendall(REQUEST * 30)
        assert ends(early)
        app.answers.set()
    assert app.asked <= 1, "what waited is not begun"
    assert caplog.records == []


def test_a_long_body_is_not_read_before_its_turn() -> None:
    app = Application()
    with served(app) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as early:
        app.answers.set()
        head = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10000000\r\n\r\n"
        with pytest.raises(ConnectionError):
            early.sendall(REQUEST * 12 + head + b" " * 10_000_000)
    assert app.asked <= 12


def test_requests_without_pause_take_no_memory(tmp_path: Path) -> None:
    collector = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db", "--limit", "0")
    before = memory_of(collector.process.pid)
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", collector.port), timeout=20) as stranger:
            reader = threading.Thread(target=ends, args=(stranger,))
            reader.start()
            with pytest.raises(ConnectionError):
                for _ in range(200):
                    stranger.sendall(REQUEST * 10_000)
            reader.join()
    assert memory_of(collector.process.pid) - before < 20_000_000
    assert collector.send([count()]).status == 202
    assert collector.stop() == 0
    assert collector.lines == []
