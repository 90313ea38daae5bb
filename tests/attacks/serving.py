"""A server that never comes to an end: it drips, or it pours."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.serving import Loopback


@dataclass
class Hostile(Loopback):
    """Serves ``folder``, but whatever path contains ``part`` in a way of its own.

    Attributes:
        every: Seconds between two bytes where it drips.
        poured: Bytes that were sent in that way.
    """

    folder: Path
    part: str
    how: Callable[[Hostile, BaseHTTPRequestHandler], None]
    every: float = 0.05
    poured: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.open(_handler(self))

    def close(self) -> None:
        self.stop.set()
        super().close()

    def send(self, handler: BaseHTTPRequestHandler, data: bytes) -> bool:
        """Send bytes; whether the other side still takes them."""
        try:
            handler.wfile.write(data)
            handler.wfile.flush()
        except OSError:
            return False
        self.poured += len(data)
        return not self.stop.is_set()


def pour(server: Hostile, handler: BaseHTTPRequestHandler) -> None:
    """A body without length and without end."""
    handler.send_response(200)
    handler.end_headers()
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    while server.send(handler, b" " * 65536):
        pass


def drip(server: Hostile, handler: BaseHTTPRequestHandler) -> None:
    """A body that comes a byte at a time, within every time limit for a single read."""
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    while server.send(handler, b" "):
        time.sleep(server.every)


def drip_headers(server: Hostile, handler: BaseHTTPRequestHandler) -> None:
    """An answer whose first line never comes to an end."""
    for byte in b"HTTP/1.1 200 " + b"O" * 50_000:
        if not server.send(handler, bytes([byte])):
            return
        time.sleep(server.every)


def pour_headers(server: Hostile, handler: BaseHTTPRequestHandler) -> None:
    """Headers without end."""
    number = 0
    server.send(handler, b"HTTP/1.1 200 OK\r\n")
    while server.send(handler, b"X-%d: %s\r\n" % (number, b"x" * 60_000)):
        number += 1


def _handler(server: Hostile) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.0"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            if server.part in self.path:
                server.how(server, self)
                return
            file = server.folder / self.path.lstrip("/")
            data = file.read_bytes() if file.is_file() else b""
            self.send_response(200 if file.is_file() else 404)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

    return Handler
