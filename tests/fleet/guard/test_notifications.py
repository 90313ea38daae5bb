"""Telling people: a real web server and a real program, working, slow and hostile."""

from __future__ import annotations

import contextlib
import http.server
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from repoint.fleet.guard import notifications
from repoint.fleet.guard.announcements import Announcement
from repoint.fleet.guard.errors import NotificationError

MESSAGE = Announcement(
    "halted", "Halted acme-kiosk 26.3.1 (a): it failed", "Publish the next letter", 1_800_000_000,
    "acme-kiosk", "26.3.1 (a)", "linux-x86_64", "25D2128", 8, 20,
)  # fmt: skip


class _Handler(http.server.BaseHTTPRequestHandler):
    received: ClassVar[list[tuple[str, bytes]]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.received.append((self.path, body))
        status = int(self.path.strip("/")) if self.path.strip("/").isdigit() else 204
        self.send_response(status)
        self.send_header("location", "/elsewhere")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[str]:
    _Handler.received.clear()
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.block_on_close = False
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_a_webhook_gets_the_message_as_json(hook: str) -> None:
    notifications.webhook(f"{hook}/hook")(MESSAGE)
    ((path, body),) = _Handler.received
    assert path == "/hook"
    assert json.loads(body) == {
        "event": "halted",
        "text": "Halted acme-kiosk 26.3.1 (a): it failed",
        "hint": "Publish the next letter",
        "time": 1_800_000_000,
        "product": "acme-kiosk",
        "label": "26.3.1 (a)",
        "platform": "linux-x86_64",
        "build": "25D2128",
        "bad": 8,
        "devices": 20,
    }


@pytest.mark.parametrize("status", [302, 307, 404, 500])
def test_any_other_answer_of_a_webhook_is_a_failure_and_a_redirection_is_not_followed(
    hook: str, status: int
) -> None:
    with pytest.raises(NotificationError, match=f"answered {status}"):
        notifications.webhook(f"{hook}/{status}")(MESSAGE)
    assert len(_Handler.received) == 1


def test_a_webhook_that_answers_byte_by_byte_keeps_neither_a_thread_nor_a_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifications, "SECONDS", 0.5)
    threads = threading.active_count()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                connection.sendall(b"HTTP/1.1 200 OK\r\n")
                while True:  # each byte comes within the timeout of the socket
                    connection.sendall(b"X: y\r\n")
                    time.sleep(0.05)

        dripping = threading.Thread(target=drip, daemon=True)
        dripping.start()
        with pytest.raises(NotificationError, match=r"does not answer: no answer within 0\.5"):
            notifications.webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/")(MESSAGE)
        dripping.join(20)
        assert not dripping.is_alive(), "the connection has ended"
    assert threading.active_count() == threads


def test_a_webhook_whose_answer_has_no_end_is_a_failure() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def pour() -> None:
            connection, _ = listener.accept()
            with connection, contextlib.suppress(OSError):
                while True:
                    connection.sendall(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000)

        pouring = threading.Thread(target=pour, daemon=True)
        pouring.start()
        with pytest.raises(NotificationError, match="does not answer"):
            notifications.webhook(f"http://127.0.0.1:{listener.getsockname()[1]}/")(MESSAGE)
        pouring.join(20)
        assert not pouring.is_alive()


def test_a_webhook_that_nobody_serves_is_a_failure() -> None:
    with pytest.raises(NotificationError, match=r"127\.0\.0\.1 does not answer"):
        notifications.webhook("http://127.0.0.1:9/hook")(MESSAGE)


@pytest.mark.parametrize(
    "address",
    ["", "hook", "ftp://example.com/SECRET", "file:///etc/passwd", "https://", "https://[::1/SECRET",
     "https://example.com:x/SECRET", "http://example.com:99999/SECRET"],
)  # fmt: skip
def test_what_is_no_web_address_is_refused_and_not_shown(address: str) -> None:
    with pytest.raises(NotificationError, match="is not the address of a webhook") as refused:
        notifications.webhook(address)
    assert "SECRET" not in str(refused.value)


def test_a_mail_command_gets_the_message_on_its_input_and_no_shell_sees_it(tmp_path: Path) -> None:
    program = "import sys; open(sys.argv[1], 'w').write(sys.stdin.read() + sys.argv[2])"
    notifications.mail([sys.executable, "-c", program, str(tmp_path / "mail"), "$(id); x"])(MESSAGE)
    assert (tmp_path / "mail").read_text() == (
        "Subject: Repoint: acme-kiosk 26.3.1 (a): halted\n\n"
        "Halted acme-kiosk 26.3.1 (a): it failed\n\nPublish the next letter\n$(id); x"
    )


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["/does/not/exist"], "No such file"),
        ([sys.executable, "-c", "import sys; sys.exit('no relay')"], "status 1: no relay"),
        ([sys.executable, "-c", "import time; time.sleep(30)"], "timed out"),
    ],
)
def test_a_mail_command_that_fails_is_a_failure(
    command: list[str], reason: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "SECONDS", 0.5)
    with pytest.raises(NotificationError, match=reason):
        notifications.mail(command)(MESSAGE)


def test_a_mail_command_without_a_program_is_refused() -> None:
    with pytest.raises(NotificationError, match="is empty"):
        notifications.mail([])
