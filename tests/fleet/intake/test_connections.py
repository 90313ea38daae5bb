"""What strangers can hold of the collector: its connections, its memory, its time."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import resource
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from starlette.types import Receive, Scope, Send

from repoint.fleet.intake.protocol import (
    FOR_READERS,
    Connections,
    StrangersProtocol,
    room_for_devices,
)
from tests.fleet.collector import CollectorProcess, memory_of, serving
from tests.fleet.reports import count

ROOM = 40
DESCRIPTORS = 256 + FOR_READERS + ROOM
SLOW_BODY = b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n["
WHOLE = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n[]"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[CollectorProcess]:
    process = CollectorProcess(
        f"sqlite:///{tmp_path}/fleet.db", "--admin", "127.0.0.1:0", "--limit", "0",
        descriptors=DESCRIPTORS,
    )  # fmt: skip
    yield process
    assert process.stop() == 0
    assert process.lines == []


def is_closed(connection: socket.socket) -> bool:
    """Wait until the other end closes a connection."""
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True


def test_silent_connections_keep_nobody_out(collector: CollectorProcess) -> None:
    with ExitStack() as stack:
        for _ in range(3 * ROOM):
            stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
        assert collector.send([count()]).status == 202
        assert collector.get("/metrics").status == 200


def test_when_all_connections_are_taken_the_oldest_silent_one_ends(
    collector: CollectorProcess,
) -> None:
    with ExitStack() as stack:
        silent = [
            stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
            for _ in range(ROOM)
        ]
        assert collector.send([count()]).status == 202
        silent[0].settimeout(20)
        assert is_closed(silent[0])
        silent[-1].sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert silent[-1].recv(4096).startswith(b"HTTP/1.1 404")


def test_bodies_that_do_not_come_keep_nobody_out(collector: CollectorProcess) -> None:
    with ExitStack() as stack:
        for _ in range(2):
            slow = [
                stack.enter_context(socket.create_connection(("127.0.0.1", collector.port)))
                for _ in range(ROOM + 5)
            ]
            for each in slow:
                with contextlib.suppress(ConnectionError):
                    each.sendall(SLOW_BODY)
            for _ in range(3):
                assert collector.send([count()]).status == 202


def test_the_oldest_unfinished_request_ends_first() -> None:
    with served(20, room=3) as port, ExitStack() as stack:

        def connect() -> socket.socket:
            return stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))

        proxy = connect()
        slow = [connect() for _ in range(2)]
        for each in slow:
            each.sendall(SLOW_BODY)
        for _ in range(3):  # its connection is older, its request is not
            proxy.sendall(WHOLE)
            assert proxy.recv(4096).startswith(b"HTTP/1.1 204")
        connect()
        assert is_closed(slow[0])
        connect()
        assert is_closed(slow[1])
        proxy.sendall(WHOLE)
        assert proxy.recv(4096).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize("patience", [0.0, 60.0])
def test_who_waits_for_an_answer_stays_unless_it_takes_very_long(patience: float) -> None:
    asked, go = threading.Semaphore(0), threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        asked.release()
        await asyncio.to_thread(go.wait, 20)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    protocol = functools.partial(StrangersProtocol, connections=Connections(2, patience))
    with serving(app, http=protocol) as port, ExitStack() as stack:
        waiting, late = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
            for _ in range(2)
        ]
        for each in (waiting, late):
            each.sendall(WHOLE)
            assert asked.acquire(timeout=20)
        new = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=20))
        assert is_closed(waiting if patience == 0 else new)
        go.set()
        assert late.recv(4096).startswith(b"HTTP/1.1 204")


@pytest.mark.parametrize(
    ("start", "filler"),
    [(b"GET / HTTP/1.1\r\n", b"X: y\r\n"), (b"GET / HTTP/1.1\r\nX: ", b"y"), (b"GET /", b"y"),
     (b"", b"\r\n")],
    ids=["headers", "a header", "a path", "lines"],
)  # fmt: skip
def test_an_endless_head_is_cut_off(
    collector: CollectorProcess, start: bytes, filler: bytes
) -> None:
    before = memory_of(collector.process.pid)
    with (
        socket.create_connection(("127.0.0.1", collector.port), timeout=20) as stranger,
        pytest.raises((ConnectionError, BrokenPipeError)),
    ):
        stranger.sendall(start)
        for _ in range(100):
            stranger.sendall(filler * (2_000_000 // len(filler)))
    assert memory_of(collector.process.pid) - before < 20_000_000


def test_endless_trailers_are_cut_off(collector: CollectorProcess) -> None:
    before = memory_of(collector.process.pid)
    with socket.create_connection(("127.0.0.1", collector.port), timeout=20) as stranger:
        stranger.sendall(
            b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
        )
        with pytest.raises((ConnectionError, BrokenPipeError)):
            for _ in range(100):
                stranger.sendall(b"X: y\r\n" * 300_000)
    assert memory_of(collector.process.pid) - before < 60_000_000


@pytest.mark.parametrize(
    ("soft", "hard", "room"),
    [(1024, 524_288, 4096), (1_048_576, 1_048_576, 4096), (1024, 1024, 704), (64, 64, 16),
     (1024, resource.RLIM_INFINITY, 4096),
     (resource.RLIM_INFINITY, resource.RLIM_INFINITY, 4096)],
)  # fmt: skip
def test_the_limit_of_open_files_decides_how_many_connections_there_are(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, room: int
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert room_for_devices() == room


def test_a_sandbox_that_keeps_the_limit_of_open_files_leaves_fewer_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def forbidden(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 524_288))
    monkeypatch.setattr(resource, "setrlimit", forbidden)
    assert room_for_devices() == 1024 - 256 - FOR_READERS


@contextmanager
def served(seconds: float, room: int = 10) -> Iterator[int]:
    """A server with other limits."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})

    protocol = functools.partial(StrangersProtocol, connections=Connections(room), seconds=seconds)
    with serving(app, http=protocol) as port:
        yield port


@pytest.mark.parametrize("sent", [b"", b"POST / HTT", b"POST / HTTP/1.1\r\nContent-Length: 9\r\n"])
def test_a_request_that_does_not_come_ends_its_connection(sent: bytes) -> None:
    with served(0.2) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as slow:
        slow.sendall(sent)
        assert is_closed(slow)


def test_one_connection_sends_many_requests() -> None:
    with served(20) as port, socket.create_connection(("127.0.0.1", port), timeout=20) as stranger:
        for _ in range(3):
            stranger.sendall(WHOLE)
            assert stranger.recv(4096).startswith(b"HTTP/1.1 204")


DYING = """
import asyncio, sys
from repoint.fleet.intake.group_commit import GroupCommit
from repoint.fleet.intake.server import PartFailedError, Served, run
from repoint.fleet.listening import listen
from repoint.fleet.outages import Outages
from repoint.fleet.stores.opening import open_state

async def dies():
    raise BrokenPipeError("nobody reads the journal")

async def app(scope, receive, send):
    pass

try:
    served = [Served(app, listen("127.0.0.1:0"), 10)]
    writer = GroupCommit(open_state(sys.argv[1]), Outages(), print)
    asyncio.run(run(served, writer, [dies], lambda: None))
except PartFailedError as error:
    print(error)
"""


def test_a_job_that_dies_ends_the_collector_with_its_reason(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", DYING, f"sqlite:///{tmp_path}/fleet.db"],
        capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "has failed: BrokenPipeError nobody reads the journal. Start it again" in done.stdout
    assert done.stderr == ""
