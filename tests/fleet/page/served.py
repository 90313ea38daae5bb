"""The fleet page's real server on a real socket, and an HTTP client for it."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from urllib.parse import quote, urlencode

import uvicorn
from argon2 import PasswordHasher

from repoint.fleet.listening import listen_at
from repoint.fleet.page.app import create_app
from repoint.fleet.page.auth.accounts import Role
from repoint.fleet.page.auth.address import Address
from repoint.fleet.page.auth.oidc import Provider, ProviderSettings
from repoint.fleet.page.server import configure
from repoint.fleet.page.state import PageState
from repoint.fleet.page.vendor import VendorSide
from repoint.fleet.records import FleetState

PASSWORD = "correct horse battery staple"
PEOPLE: dict[str, Role] = {"anna": "operator", "ben": "operator", "vera": "viewer"}

# A hash carries its own cost. Verifying it exercises the same code as a hash of the usual cost.
_CHEAP = PasswordHasher(time_cost=1, memory_cost=64, parallelism=1)


def write_accounts(folder: Path) -> None:
    """Write accounts whose passwords are quick to verify."""
    (folder / "page").mkdir(mode=0o700, parents=True, exist_ok=True)
    accounts = {
        name: {"name": name, "role": role, "argon2": _CHEAP.hash(PASSWORD)}
        for name, role in PEOPLE.items()
    }
    (folder / "page/accounts.json").write_text(json.dumps({"accounts": accounts}))


@dataclass
class Served:
    """A running fleet page."""

    page: PageState
    port: int
    errors: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


@contextlib.contextmanager
def served(
    fleet: FleetState, folder: Path, vendor: VendorSide | None = None, *, clock: float | None = None,
    public: str = "", provider: ProviderSettings | None = None, secret: str = "",
) -> Iterator[Served]:  # fmt: skip
    """Serve the page until the end of the block."""
    listener = listen_at("127.0.0.1", 0)
    port = listener.getsockname()[1]
    address = Address(public or f"http://127.0.0.1:{port}")
    time_of_day = time.time if clock is None else lambda: clock
    known = None
    if provider is not None:
        known = Provider(provider, secret, address.origin, time_of_day)
    page = PageState(fleet, folder, address, vendor, known, time_of_day)
    server = uvicorn.Server(configure(create_app(page), behind_proxy=address.secure))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    try:
        yield Served(page, port)
    finally:
        server.should_exit = True
        thread.join()
        listener.close()


@dataclass
class Client:
    """An HTTP client that can send any header, unlike a browser."""

    port: int
    cookie: str = ""
    home: str = "/s/guess/"
    host: str = ""

    def __post_init__(self) -> None:
        self.host = self.host or f"127.0.0.1:{self.port}"

    @classmethod
    def entered(cls, port: int, name: str = "anna") -> Client:
        """Return a client that has signed in."""
        client = cls(port)
        answer, _ = client.send("POST", "/sign-in", {"name": name, "password": PASSWORD})
        assert answer.status == 303, answer.status
        client.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        client.home = answer.getheader("Location") or ""
        return client

    def send(
        self, method: str, path: str, form: dict[str, str] | None = None, *,
        headers: dict[str, str | None] | None = None,
    ) -> tuple[HTTPResponse, str]:  # fmt: skip
        """Send a request. A path without a slash is one of the session. None omits a header."""
        wanted: dict[str, str | None] = {"Host": self.host, "Cookie": self.cookie or None}
        body = b""
        if form is not None:
            body = urlencode(form).encode()
            wanted["Content-Type"] = "application/x-www-form-urlencoded"
            wanted["Content-Length"] = str(len(body))
            scheme = "http" if self.host.startswith("127.") else "https"
            wanted["Origin"] = f"{scheme}://{self.host}"
        wanted |= headers or {}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            full = path if path.startswith("/") else self.home + path
            connection.putrequest(method, full, skip_host=True, skip_accept_encoding=True)
            for name, value in wanted.items():
                if value is not None:
                    connection.putheader(name, value)
            connection.endheaders(body)
            answer = connection.getresponse()
            return answer, answer.read().decode()
        finally:
            connection.close()

    def get(self, path: str) -> str:
        """Return a page that must be there."""
        answer, text = self.send("GET", path)
        assert answer.status == 200, (answer.status, text[:2000])
        return text

    def sheet(self, action: str, label: str, platform: str = "linux-x86_64") -> dict[str, str]:
        """Return the hidden fields of the sheet that asks before a change."""
        text = self.get(f"product/acme-kiosk/{action}?label={quote(label)}&platform={platform}")
        return {
            part.partition('"')[0]: part.partition('value="')[2].partition('"')[0]
            for part in text.split('type="hidden" name="')[1:]
        }

    def change(
        self, action: str, fields: dict[str, str], reason: str = ""
    ) -> tuple[HTTPResponse, str]:
        """Send the form of a sheet."""
        return self.send("POST", f"product/acme-kiosk/{action}", {**fields, "reason": reason})
