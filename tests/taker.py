"""A server that takes reports, for tests of devices: it keeps to the agreement, or breaks it on demand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.serving import Loopback


@dataclass
class Taken:
    """A request: its method, path, content type and body."""

    method: str
    path: str
    kind: str
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Handler = BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


@dataclass
class Taker(Loopback):
    """A server for reports.

    Attributes:
        requests: All requests so far.
        answer: Answers the next requests; by default it takes everything.
    """

    requests: list[Taken] = field(default_factory=list)
    answer: Answer = lambda handler: status(202)(handler)

    def __post_init__(self) -> None:
        self.open(_handler(self))

    @property
    def reports(self) -> list[dict[str, Any]]:
        """All reports that were posted, also those that were not acknowledged."""
        return [r for taken in self.requests if taken.method == "POST" for r in taken.json]

    def kinds(self) -> list[str]:
        return [report["kind"] for report in self.reports]


def _handler(server: Taker) -> type[Handler]:
    class Taking(Handler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            kind = self.headers.get("Content-Type", "")
            server.requests.append(Taken(self.command, self.path, kind, body))
            try:
                server.answer(self)
            except OSError:
                self.close_connection = True

        do_POST = _take  # noqa: N815  # the names that the library calls
        do_DELETE = _take  # noqa: N815
        do_GET = _take  # noqa: N815

    return Taking


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    """Answer with a status, a body and headers."""

    def answer(handler: Handler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def endless_body(handler: Handler) -> None:
    """Answer with a body that never ends, as fast as it is read."""
    handler.send_response(202)
    handler.send_header("Content-Length", str(10 << 30))
    handler.end_headers()
    for _ in range(10 << 10):
        handler.wfile.write(b"\0" * (1 << 20))


def endless_refusal(handler: Handler) -> None:
    """Refuse, with a body that never ends."""
    handler.send_response(400)
    handler.end_headers()
    handler.close_connection = True
    for _ in range(10 << 10):
        handler.wfile.write(b"<html>" * (1 << 16))


def endless_header(handler: Handler) -> None:
    """Send a header that never ends."""
    handler.wfile.write(b"HTTP/1.1 202 Accepted\r\n")
    for number in range(10_000_000):
        handler.wfile.write(f"X-{number}: {'x' * 1000}\r\n".encode())


def drip(handler: Handler) -> None:
    """Send a header one byte at a time."""
    for byte in b"HTTP/1.1 202 Accepted\r\n" + b"X: " + b"x" * 600:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.1)


def garbage(handler: Handler) -> None:
    """Send what is no HTTP."""
    handler.wfile.write(b"\x00\xff\x1b[2J SSH-2.0-nothing\r\n\r\n" * 100)
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Close the connection without an answer."""
    handler.close_connection = True
