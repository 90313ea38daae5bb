"""A web server that behaves as a server or a middlebox of the real world may, on demand."""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.serving import Loopback

PAGE = b"<!DOCTYPE html><html><body>Please log in to the guest network</body></html>"


@dataclass
class Reply:
    """An answer.

    Attributes:
        status: The status.
        body: The body.
        headers: The headers, without `Content-Length`.
        framing: How the end of the body is known.
        sent: How many bytes of the body are sent before the connection is cut; None for all.
    """

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    framing: str = "length"
    sent: int | None = None


@dataclass
class ReceivedRequest:
    """A request, and the file that it asks for; None if there is none.

    Attributes:
        path: The path with its query.
        headers: The headers.
        data: The file's content.
        number: How many requests for this path came before.
    """

    path: str
    headers: Mapping[str, str]
    data: bytes | None
    number: int

    @property
    def start(self) -> int | None:
        """The first byte of the requested range."""
        found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        return int(found[1]) if found else None


Behaviour = Callable[[ReceivedRequest], Reply | None]


@dataclass
class Middlebox(Loopback):
    """Serves a folder honestly, unless its behaviour answers or cuts the connection.

    Attributes:
        folder: The folder.
        behaviour: Returns the answer; None resets the connection.
        requests: All requests so far.
        protocol: The version of HTTP.
    """

    folder: Path
    behaviour: Behaviour = lambda request: honest(request)
    requests: list[ReceivedRequest] = field(default_factory=list)
    protocol: str = "HTTP/1.1"

    def __post_init__(self) -> None:
        self.open(_handler(self))


def honest(request: ReceivedRequest) -> Reply:
    """Answer as most servers do."""
    if request.data is None:
        return Reply(404, b"not found")
    tag = {"ETag": f'"{hashlib.sha256(request.data).hexdigest()[:16]}"'}
    if request.headers.get("If-None-Match") == tag["ETag"]:
        return Reply(304, b"", tag)
    if request.start is None:
        return Reply(200, request.data, tag)
    last = len(request.data) - 1
    tag["Content-Range"] = f"bytes {request.start}-{last}/{len(request.data)}"
    return Reply(206, request.data[request.start :], tag)


def always(*replies: Reply) -> Behaviour:
    """Answer with these replies in turn, the last one for ever, whatever the request is."""
    return lambda request: replies[min(request.number, len(replies) - 1)]


def for_patches(behaviour: Behaviour) -> Behaviour:
    """Behave so for patches only."""
    return lambda request: behaviour(request) if ".patch" in request.path else honest(request)


def first(*replies: Reply | None) -> Behaviour:
    """Answer the first requests for each path with these replies, and then honestly."""
    return lambda request: (
        replies[request.number] if request.number < len(replies) else honest(request)
    )


def zipped(request: ReceivedRequest) -> Reply:
    """Compress every file, although the client does not accept it."""
    reply = honest(request)
    if reply.status not in (200, 206):
        return reply
    body = gzip.compress(request.data or b"")
    return Reply(200, body, {**reply.headers, "Content-Encoding": "gzip"})


def _handler(server: Middlebox) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = server.protocol
        disable_nagle_algorithm = True

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            # A proxy is asked for the whole address.
            path = re.sub(r"^http://[^/]*", "", self.path)
            file = server.folder / path.partition("?")[0].lstrip("/")
            data = file.read_bytes() if file.is_file() else None
            number = sum(one.path == self.path for one in server.requests)
            request = ReceivedRequest(self.path, dict(self.headers), data, number)
            server.requests.append(request)
            reply = server.behaviour(request)
            if reply is None:
                self.close_connection = True
                return
            self._send(reply)

        def _send(self, reply: Reply) -> None:
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            if reply.framing == "length":
                self.send_header("Content-Length", str(len(reply.body)))
            elif reply.framing == "chunked":
                self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            if reply.framing == "chunked":
                for start in range(0, len(reply.body), 1000):
                    piece = reply.body[start : start + 1000]
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")
            else:
                self.wfile.write(reply.body[: reply.sent])
            if reply.framing == "close" or reply.sent is not None:
                self.wfile.flush()
                time.sleep(0.01)
                self.close_connection = True

    return Handler
