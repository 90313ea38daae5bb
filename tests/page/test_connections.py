"""The page's protocol: a client has limited time to send a request, and each account its share."""

from __future__ import annotations

import asyncio
import functools
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send

from repoint.page.auth.account_limits import AccountLimits
from repoint.page.connections import Connections, PageProtocol

TIMEOUT = 0.4
SLOWLY = TIMEOUT * 2

HEAD = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\n"


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Respond late, so that a slow response can be told from a slow request."""
    assert scope["state"]["connection"].uid() is not None
    while (await receive()).get("more_body"):
        pass
    if scope["path"] == "/slow":
        await asyncio.sleep(SLOWLY)
    await send({"type": "http.response.start", "status": 200,
                "headers": [(b"content-length", b"2")]})  # fmt: skip
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def serving(connections: Connections) -> Iterator[int]:
    listener = socket.create_server(("127.0.0.1", 0))
    protocol = functools.partial(PageProtocol, connections=connections)
    config = uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_config=None)  # type: ignore[arg-type]
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(Connections(AccountLimits(100, 100, lambda _: True), TIMEOUT)) as number:
        yield number


def ended(client: socket.socket) -> bool:
    """Wait for the server, and return whether it ends the connection without a response."""
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


def answered(client: socket.socket) -> bool:
    """Wait for the server, and return whether it sends the whole response."""
    got = b""
    try:
        while not got.endswith(b"ok") and (more := client.recv(200)):
            got += more
    except ConnectionError:
        pass
    return got.endswith(b"ok")


def trickle(port: int, request: bytes) -> bytes:
    """Send a request byte by byte until the server ends the connection."""
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        began = time.monotonic()
        try:
            for byte in request:
                client.sendall(bytes([byte]))
                time.sleep(TIMEOUT / 10)
                assert time.monotonic() - began < TIMEOUT * 5, "the server waits on"
            return client.recv(100)
        except ConnectionError:
            return b""


@pytest.mark.parametrize(
    "request_",
    [b"", b"GET / HTTP/1.1\r\nHost: x\r\n", HEAD[:-1], HEAD + b"a", HEAD + b"abc"],
    ids=["nothing", "half a head", "all but the last byte", "a byte of the body", "half a body"],
)
def test_an_incomplete_request_ends_in_time(port: int, request_: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        client.sendall(request_)
        assert ended(client)


@pytest.mark.parametrize(
    "request_",
    [b"GET /" + b"a" * 100, b"GET / HTTP/1.1\r\nX: " + b"a" * 100, HEAD.replace(b"4", b"99") + b"a" * 99],
    ids=["path", "header", "body"],
)  # fmt: skip
def test_more_bytes_do_not_extend_the_time(port: int, request_: bytes) -> None:
    assert trickle(port, request_) == b""


def test_the_second_request_of_a_connection_has_the_same_limit(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        client.sendall(HEAD + b"abcd")
        assert answered(client)
        began = time.monotonic()
        client.sendall(HEAD[:9])
        assert ended(client)
        assert time.monotonic() - began < 4, "uvicorn's own limit of five seconds ended it"


def test_a_response_may_take_longer(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.settimeout(10)
        for _ in range(2):
            client.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answered(client)


def test_an_account_has_its_share_and_gets_it_back() -> None:
    with serving(Connections(AccountLimits(3, 100, lambda _: True))) as port:
        held = [socket.create_connection(("127.0.0.1", port)) for _ in range(3)]
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.settimeout(10)
            assert ended(client)
        for client in held:
            client.settimeout(10)
            client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert answered(client)
            client.close()
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            with socket.create_connection(("127.0.0.1", port)) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                if answered(client):
                    return
        raise AssertionError("the connections were not given back")
