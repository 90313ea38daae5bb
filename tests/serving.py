"""A web server for tests: it serves a repository as any other would, and misbehaves on demand."""

from __future__ import annotations

import hashlib
import re
import socket
import threading
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


class Loopback:
    """A web server on a free port, from its creation until it is closed."""

    def open(
        self, handler: type[BaseHTTPRequestHandler], address: tuple[str, int] = ("127.0.0.1", 0)
    ) -> None:
        self._server = ThreadingHTTPServer(address, handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def close(self) -> None:
        """Stop. The port refuses connections from then on; no other server of the tests gets it."""
        address = self._server.server_address
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        held = socket.socket()
        weakref.finalize(self, held.close)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)


@dataclass
class Request:
    path: str
    status: int
    range: str
    length: int


@dataclass
class WebServer(Loopback):
    """A server for the files of a folder.

    Attributes:
        folder: The folder.
        requests: All requests so far.
        alter: Returns the bytes to send for a path, given the true ones.
        cut_after: For each entry, close one connection after that many bytes of a body.
        stall_after: For each entry, stop one body after that many bytes, until `go_on` is set.
        stalled: The paths that were stalled.
        ranges: Whether the server honours `Range`.
        etags: Whether the server sends entity tags.
    """

    folder: Path
    requests: list[Request] = field(default_factory=list)
    alter: Callable[[str, bytes], bytes] = lambda path, data: data
    cut_after: list[int] = field(default_factory=list)
    stall_after: list[int] = field(default_factory=list)
    stalled: list[str] = field(default_factory=list)
    go_on: threading.Event = field(default_factory=threading.Event)
    ranges: bool = True
    etags: bool = True

    def __post_init__(self) -> None:
        self.open(_handler(self))


def _handler(server: WebServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        # Head and body are two writes; Nagle's algorithm would delay the second one.
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            file = server.folder / self.path.lstrip("/")
            wanted = self.headers.get("Range", "")
            if not file.is_file():
                self._answer(404, b"", wanted)
                return
            data = server.alter(self.path, file.read_bytes())
            tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
            headers = {"ETag": tag} if server.etags else {}
            if server.etags and self.headers.get("If-None-Match") == tag:
                self._answer(304, b"", wanted, headers)
                return
            start = re.fullmatch(r"bytes=(\d+)-", wanted)
            if start and server.ranges:
                first = int(start[1])
                headers["Content-Range"] = f"bytes {first}-{len(data) - 1}/{len(data)}"
                self._answer(206, data[first:], wanted, headers)
                return
            self._answer(200, data, wanted, headers)

        def _answer(
            self, status: int, body: bytes, wanted: str, headers: dict[str, str] | None = None
        ) -> None:
            sent = body
            if body and server.cut_after and len(body) > server.cut_after[0]:
                sent = body[: server.cut_after.pop(0)]
            server.requests.append(Request(self.path, status, wanted, len(sent)))
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if body and server.stall_after and len(body) > server.stall_after[0]:
                sent = body[: server.stall_after.pop(0)]
                self.wfile.write(sent)
                self.wfile.flush()
                server.stalled.append(self.path)
                server.go_on.wait(30)
                self.close_connection = True
                return
            self.wfile.write(sent)
            if sent is not body:
                self.close_connection = True

    return Handler
