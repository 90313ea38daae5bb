"""Other accounts of the machine, which can reach the page's port, get nothing and delay nobody."""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest
from playwright.sync_api import Browser, expect
from starlette.datastructures import Headers

from repoint.host.kernel.peers import owner, uid_of_peer
from repoint.host.kernel.socket_table import SocketRecord, read_tables
from repoint.page.auth.request_checks import first_cookie
from tests.page.conftest import Fort
from tests.page.settings import PASSCODE, Client
from tests.page.stranger import PRELUDE, as_root

PANEL = "/product/acme-kiosk/"
MANNERS = {
    "waits for the response": "k = connect(); k.sendall(request); answer(k)",
    "closes at once": "k = connect(); k.sendall(request); k.close()",
    "closes after the server has accepted": (
        "k = connect(); time.sleep(0.2); k.sendall(request); k.close()"
    ),
    "closes its half and waits": (
        "k = connect(); k.sendall(request); k.shutdown(socket.SHUT_WR); answer(k)"
    ),
    "resets": "k = connect(); k.sendall(request); abort(k)",
    "resets after the server has accepted": (
        "k = connect(); time.sleep(0.2); k.sendall(request); abort(k)"
    ),
    "closes in bursts": (
        "for _ in range(3):\n"
        "    for k in [connect() for _ in range(40)]: k.sendall(request); k.close()\n"
        "    time.sleep(0.2)"
    ),
    "closes one by one, forty times": (
        "for _ in range(40): k = connect(); k.sendall(request); k.close()"
    ),
    "resets in bursts": "for k in [connect() for _ in range(40)]: k.sendall(request); abort(k)",
    "closes its half in bursts": (
        "all = [connect() for _ in range(40)]\n"
        "for k in all: k.sendall(request); k.shutdown(socket.SHUT_WR)\n"
        "for k in all: answer(k)"
    ),
    "lets the last byte follow its end": (
        "k = connect(); k.sendall(request[:-1]); time.sleep(0.1); k.sendall(request[-1:]); k.close()"
    ),
    "pipelines": (
        "k = connect()\n"
        "k.sendall(b'GET /assets/page.css HTTP/1.1\\r\\nHost: 127.0.0.1:%d\\r\\n\\r\\n' % port + request)\n"
        "k.close()"
    ),
    "connects by IPv6": (
        "k = connect(socket.AF_INET6, '::ffff:127.0.0.1'); k.sendall(request); answer(k)"
    ),
    "connects by IPv6 and closes": (
        "k = connect(socket.AF_INET6, '::ffff:127.0.0.1'); k.sendall(request); k.close()"
    ),
    "connects from another loopback address": (
        "k = connect(source=('127.0.0.2', 0)); k.sendall(request); answer(k)"
    ),
    "leaves its responses unread": (
        "k = connect(); k.sendall(request * 5); time.sleep(0.2); k.close()"
    ),
}


@dataclass
class Stolen:
    """Everything that somebody could have seen: a session's path, cookie and token, and a link."""

    owner: Client
    link: str
    change: bytes
    opening: bytes


@pytest.fixture
def stolen(fort: Fort) -> Stolen:
    owner = Client.entered(fort.served)
    form = {"to": "off", "passcode": PASSCODE, "token": owner.token(f"{PANEL}automatic")}
    body = urlencode(form).encode()
    link = urlsplit(fort.served.link()).path
    head = (
        f"POST {owner.path(PANEL)}automatic HTTP/1.1\r\nHost: {owner.host}\r\n"
        f"Origin: http://{owner.host}\r\nCookie: {owner.cookie}\r\n"
        "Content-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    opening = f"GET {link} HTTP/1.1\r\nHost: {owner.host}\r\n\r\n"
    return Stolen(owner, link, head.encode() + body, opening.encode())


def act(manner: str, port: int, request: bytes) -> str:
    """Send a request as another account, and return all that it gets."""
    command = [sys.executable, "-I", "-c", PRELUDE + manner, str(port)]
    done = subprocess.run(command, input=request, capture_output=True, timeout=60)
    stderr = done.stderr.decode()
    # A connection that the server refuses may be reset before the request is sent.
    refused = ("ConnectionResetError", "BrokenPipe", "not connected")
    assert done.returncode == 0 or any(sign in stderr for sign in refused), stderr
    return done.stdout.decode()


@pytest.mark.one_quick
@as_root
@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS)
def test_a_stolen_session_and_link_are_of_no_use(fort: Fort, stolen: Stolen, manner: str) -> None:
    sessions = fort.place.folder / "store/page/sessions.json"
    before = sessions.read_bytes()
    answers = [
        act(manner, stolen.owner.port, request) for request in (stolen.change, stolen.opening)
    ]
    # One connection after another, so this one comes after all that the stranger has sent.
    assert stolen.owner.send("GET", PANEL)[0].status == 200
    assert fort.unchanged
    assert sessions.read_bytes() == before
    assert "acme-kiosk" not in "".join(answers)
    assert "Set-Cookie" not in "".join(answers)
    assert stolen.owner.send("GET", stolen.link)[0].status == 303, "the link was used up"


def test_the_owner_passes_the_same_checks(fort: Fort, stolen: Stolen) -> None:
    with socket.create_connection(("127.0.0.1", stolen.owner.port)) as connection:
        connection.sendall(stolen.change.replace(b"to=off", b"to=on&"))
        assert connection.recv(100).startswith(b"HTTP/1.1 303")


@pytest.mark.parametrize(
    ("record", "uid"),
    [
        (SocketRecord(1, 1000, 77), 1000),
        (SocketRecord(1, 0, 77), 0),
        (SocketRecord(1, 0, 0), None),  # orphaned
        (SocketRecord(1, 1000, 0), None),
        *((SocketRecord(state, 1000, 77), None) for state in range(2, 13)),
        *((SocketRecord(state, 0, 0), None) for state in range(2, 13)),
        (None, None),
    ],
)
def test_only_an_open_socket_has_an_owner(record: SocketRecord | None, uid: int | None) -> None:
    assert owner(record) == uid


_ROW = "   0: 0100007F:1F90 0100007F:BC8F {} 00000000:00000000 00:00000000 00000000 {} 0 {} 1\n"
_ROW6 = _ROW.replace("0100007F", "0000000000000000FFFF00000100007F")


@pytest.mark.skipif(sys.byteorder != "little", reason="the table is in the machine's byte order")
@pytest.mark.parametrize(
    ("rows", "rows6", "expected"),
    [
        ([("01", 7, 5)], [], SocketRecord(1, 7, 5)),
        ([], [("01", 7, 5)], SocketRecord(1, 7, 5)),
        ([("01", 7, 5), ("01", 7, 5)], [], SocketRecord(1, 7, 5)),  # one row, read twice
        ([("01", 7, 5), ("01", 0, 6)], [], None),
        ([("01", 7, 5)], [("01", 0, 6)], None),
        ([("06", 0, 0), ("01", 7, 5)], [], None),
        ([("04", 0, 0)], [], SocketRecord(4, 0, 0)),
        ([], [], None),
    ],
)
def test_without_a_diagnosis_the_table_has_to_name_one_socket(
    tmp_path: Path,
    rows: list[tuple[object, ...]],
    rows6: list[tuple[object, ...]],
    expected: SocketRecord | None,
) -> None:
    tables = (tmp_path / "tcp", tmp_path / "tcp6")
    for table, row, entries in ((tables[0], _ROW, rows), (tables[1], _ROW6, rows6)):
        table.write_text("  sl …\n" + "".join(row.format(*entry) for entry in entries))
    assert read_tables(("127.0.0.1", 8080), ("127.0.0.1", 48271), tables) == expected
    assert read_tables(("127.0.0.1", 8081), ("127.0.0.1", 48271), tables) is None
    assert read_tables(("127.0.0.1", 8080), ("127.0.0.1", 48271), (tmp_path / "none",)) is None


def _reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@pytest.mark.parametrize("without_diagnosis", [False, True])
def test_a_port_that_is_used_again_does_not_lend_its_new_owner(
    monkeypatch: pytest.MonkeyPatch, without_diagnosis: bool
) -> None:
    if without_diagnosis:

        def refuse(*_: object) -> SocketRecord | None:
            raise OSError("Protocol not supported")

        monkeypatch.setattr("repoint.host.kernel.peers.ask_kernel", refuse)
    own = ("127.77.1.2", 0)  # no other program takes a port at this address meanwhile
    with socket.create_server(("127.0.0.1", 0)) as listener:
        first = socket.create_connection(listener.getsockname(), source_address=own)
        address = first.getsockname()
        accepted, _ = listener.accept()
        with accepted:
            assert uid_of_peer(accepted) == os.geteuid()
            _reset(first)
            with socket.create_connection(listener.getsockname(), source_address=address):
                again, peer = listener.accept()
                with again:
                    assert peer == address
                    assert uid_of_peer(again) == os.geteuid()
                    assert uid_of_peer(accepted) is None


@pytest.mark.parametrize(
    ("cookies", "value"),
    [
        ("", ""),
        ("page=own", "own"),
        ("page=own; page=foreign", "own"),  # longer paths come first
        ("other=1; page=own; page=foreign; page=third", "own"),
        ("xpage=1; page-=2;page=own", "own"),
        ("page", ""),
        (" page=own ;page=foreign", "own"),
        ("other=page=foreign; page=own=", "own="),
    ],
)
def test_a_cookie_of_another_port_does_not_displace_that_of_the_session(
    cookies: str, value: str
) -> None:
    assert first_cookie(Headers({"cookie": cookies}), "page") == value


def test_a_session_goes_on_beside_cookies_that_another_port_has_set(fort: Fort) -> None:
    owner = Client.entered(fort.served)
    name = owner.cookie.partition("=")[0]
    owner.cookie += f"; {name}=foreign; {name}="
    assert owner.send("GET", PANEL)[0].status == 200


@pytest.mark.slow
def test_a_server_at_another_port_learns_neither_cookie_nor_path(
    chromium: Browser, fort: Fort
) -> None:
    heard: list[str] = []
    with _listening(heard.append) as port, chromium.new_context() as context:
        page = context.new_page()
        page.goto(fort.served.link())
        expect(page.locator("#verdict")).to_be_visible()
        session = page.url.split("/")[4]
        for name in ("127.0.0.1", "localhost"):
            for path in ("/", "/s/", "/s/guess/", PANEL, "/open/x", "/assets/page.css"):
                page.evaluate("url => { location.href = url }", f"http://{name}:{port}{path}")
                page.wait_for_url(f"http://{name}:{port}/**")
                page.go_back()
                expect(page.locator("#verdict")).to_be_visible()
        secrets = [cookie["value"] for cookie in context.cookies()]
    text = "\n".join(heard)
    assert text.count("GET ") >= 12
    assert secrets
    assert [secret for secret in (*secrets, session) if secret in text] == []


@contextmanager
def _listening(note: Callable[[str], None]) -> Iterator[int]:
    """Run a server that notes each request as it arrives."""

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            note(f"{self.requestline}\n{self.headers}")
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@as_root
def test_an_account_that_is_not_an_administrator_may_only_view(fort: Fort) -> None:
    nobody = Client.entered(fort.served, 65534)
    answer, text = nobody.send("GET", f"{PANEL}install")
    assert answer.status == 200
    assert "Only an administrator of this device can change this." in text
    assert 'type="password"' not in text
    for change in ("automatic", "install", "stop"):
        form = {"to": "off", "passcode": PASSCODE, "label": "26.3.1 (a)"}
        form["token"] = nobody.token(PANEL)
        assert nobody.send("POST", f"{PANEL}{change}", form)[0].status == 403
    assert fort.unchanged
