"""Telling people: a real web server and a real program, working, slow and hostile."""

from __future__ import annotations

import http.server
import json
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
        if self.path == "/slow":
            for _ in range(100):  # each byte comes within the timeout of the socket
                self.wfile.write(b"H")
                time.sleep(0.1)
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


def test_a_webhook_that_answers_byte_by_byte_holds_nobody_up(
    hook: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "SECONDS", 0.5)
    started = time.monotonic()
    with pytest.raises(NotificationError, match="does not answer"):
        notifications.webhook(f"{hook}/slow")(MESSAGE)
    assert time.monotonic() - started < 2


def test_a_webhook_that_nobody_serves_is_a_failure() -> None:
    with pytest.raises(NotificationError, match=r"127\.0\.0\.1 does not answer"):
        notifications.webhook("http://127.0.0.1:9/hook")(MESSAGE)


@pytest.mark.parametrize(
    "address", ["", "hook", "ftp://example.com/", "file:///etc/passwd", "https://"]
)
def test_what_is_no_web_address_is_refused(address: str) -> None:
    with pytest.raises(NotificationError, match="is not the address of a webhook"):
        notifications.webhook(address)


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
