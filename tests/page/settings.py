"""The page's real server in its own process, and clients for it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from argon2 import PasswordHasher

from repoint.page.control_socket import request_link
from repoint.page.page_store import PageStore
from tests.page.prefork import Server

PASSCODE = "let me through"

_CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def set_test_passcode(store: Path, passcode: str = PASSCODE) -> None:
    """Set the passcode of a page with a hash that is quick to verify.

    A hash carries its own cost. Verifying it exercises the same code as a passcode that was set
    at the page.
    """
    page_store = PageStore(store)
    page_store.folder.mkdir(mode=0o700, exist_ok=True)
    record = {"argon2": _CHEAP.hash(passcode)}
    (page_store.folder / "passcode.json").write_text(json.dumps(record))


@dataclass
class Settings:
    """A running server of a store's page."""

    store: Path
    process: Server

    def link(self, uid: int | None = None) -> str:
        """Request a one-time link; root may request one for another account."""
        link = request_link(PageStore(self.store).socket, uid)
        assert link is not None, "the page's server does not answer"
        return link

    @property
    def port(self) -> int:
        port = urlsplit(self.link()).port
        assert port is not None
        return port


@contextlib.contextmanager
def settings(store: Path, *, idle: float = 120, policy: Path = Path("/none")) -> Iterator[Settings]:
    """Serve the page of a store until the end of the block."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("REPOINT_")}
    environment |= {"TZ": "UTC", "REPOINT_POLICY": str(policy)}
    process = Server.start(["--store", str(store), "--idle", str(idle)], environment)
    try:
        deadline = time.monotonic() + 20
        while request_link(PageStore(store).socket, None) is None:
            assert process.poll() is None, "the page's server has ended"
            assert time.monotonic() < deadline, "the page's server does not start"
            time.sleep(0.01)
        yield Settings(store, process)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait() in (0, -signal.SIGKILL)


@dataclass
class Client:
    """An HTTP client that can send any header, unlike a browser."""

    port: int
    cookie: str = ""
    home: str = "/s/guess/"

    @classmethod
    def entered(cls, settings: Settings, uid: int | None = None) -> Client:
        """Return a client with a session."""
        link = urlsplit(settings.link(uid))
        assert link.port is not None
        client = cls(link.port)
        answer, _ = client.send("GET", link.path)
        assert answer.status == 303, answer.status
        client.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        client.home = answer.getheader("Location") or ""
        return client

    def path(self, path: str) -> str:
        """Return the path of a page of the session; other paths stay as they are."""
        pages = path == "/" or path.startswith("/product/")
        return self.home + path[1:] if pages else path

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def send(
        self,
        method: str,
        path: str,
        form: dict[str, str] | None = None,
        *,
        headers: dict[str, str | None] | None = None,
    ) -> tuple[HTTPResponse, str]:
        """Send a request. A header that is None is omitted."""
        wanted: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie or None}
        body = None
        if form is not None:
            body = urlencode(form)
            wanted["Content-Type"] = "application/x-www-form-urlencoded"
            wanted["Origin"] = f"http://{self.host}"
        wanted |= headers or {}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            connection.putrequest(
                method, self.path(path), skip_host=True, skip_accept_encoding=True
            )
            for name, value in wanted.items():
                if value is not None:
                    connection.putheader(name, value)
            data = body.encode() if body is not None else b""
            if body is not None:
                connection.putheader("Content-Length", str(len(data)))
            connection.endheaders(data)
            answer = connection.getresponse()
            return answer, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def token(self, path: str) -> str:
        """Return the token in the forms of a page."""
        _, text = self.send("GET", path)
        return text.partition('name="token" value="')[2].partition('"')[0]
