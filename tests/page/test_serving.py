"""The page's server: started by a command or by a systemd socket, and stopped when idle."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from repoint.page.auth.account_limits import AccountLimits
from repoint.page.auth.errors import PageNotOpenedError
from repoint.page.auth.sessions import GRANT_LIFETIME, LIFETIME, Secrets, Sessions
from repoint.page.control_socket import request_link
from repoint.page.page_store import PageStore
from tests.page.settings import Client, settings
from tests.places import Place, wait_for

LIMITS = AccountLimits(8, 256, lambda _: False)

# Passes the sockets that it inherits on, as systemd does (man 3 sd_listen_fds).
_AS_SYSTEMD = """
import os, sys
for number, fd in enumerate(map(int, sys.argv[1].split(',')), 3):
    os.dup2(fd, number, inheritable=True)
os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2'}
os.execv(sys.executable, [sys.executable, '-m', 'repoint.page', *sys.argv[2:]])
"""


def open_settings(store: Path) -> str:
    """Run `repoint settings` and return the link that it prints."""
    environment = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [sys.executable, "-m", "repoint", "settings", "--store", str(store)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = re.search(r"http://127\.0\.0\.1:\d+/open/\S+", done.stdout)
    assert found, done.stdout
    return found[0]


def server_of(store: Path) -> int:
    """Return the process that serves the page of a store; 0 if there is none."""
    wanted = f"repoint.page\0--store\0{store}\0".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "cmdline").read_bytes():
                return int(folder.name)
        except OSError:
            continue
    return 0


def test_the_command_starts_a_server_and_the_next_one_uses_it(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    first, second = open_settings(store), open_settings(store)
    pid = server_of(store)
    try:
        assert first.rpartition("/")[0] == second.rpartition("/")[0]
        assert first != second
    finally:
        os.kill(pid, 15)
    wait_for(lambda: not (store / "page.sock").exists())


def test_without_anything_enrolled_the_command_says_so(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "repoint", "settings", "--store", str(tmp_path / "none")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "enroll" in done.stderr
    assert not (tmp_path / "none").exists()


def test_an_idle_server_stops_and_leaves_no_socket(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    with settings(store, idle=0.5) as served:
        Client.entered(served)
        assert served.process.wait(15) == 0
    assert not (store / "page.sock").exists()


@pytest.mark.slow
def test_systemds_sockets_are_taken_over_and_a_session_outlives_the_server(
    enrolled: Place,
) -> None:
    store = enrolled.folder / "store"
    page = socket.create_server(("127.0.0.1", 0))
    control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    control.bind(f"/proc/self/fd/{os.open(store, os.O_PATH)}/page.sock")
    control.listen()
    listeners = (control.fileno(), page.fileno())

    def start() -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", _AS_SYSTEMD, ",".join(map(str, listeners)),
                   "--store", str(store)]  # fmt: skip
        return subprocess.Popen(command, pass_fds=listeners)

    with page, control:
        with start() as server:
            link = request_link(store / "page.sock", None)
            assert link is not None
            assert f":{page.getsockname()[1]}/" in link
            client = Client(page.getsockname()[1])
            answer, _ = client.send("GET", f"/open/{link.rpartition('/')[2]}")
            client.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
            client.home = answer.getheader("Location") or ""
            server.terminate()
        assert (store / "page.sock").exists()  # it belongs to systemd, which keeps listening
        with start() as server:
            assert client.send("GET", "/product/acme-kiosk/")[0].status == 200
            server.terminate()


def test_a_deep_store_has_a_page_too(enrolled: Place, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    store = deep / "store"
    (enrolled.folder / "store").rename(store)
    with settings(store) as served:
        assert served.link()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")
def test_another_account_gets_no_link_to_a_persons_own_page(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    with settings(store):
        for folder in (store, *store.parents):
            if folder.stat().st_uid == 0 and folder != Path("/"):
                folder.chmod(folder.stat().st_mode | 0o055)
        code = (
            "import socket, sys\n"
            "s = socket.socket(socket.AF_UNIX)\n"
            "s.connect('page.sock')\n"
            "s.sendall(b'{\"uid\": 0}' + bytes([10]))\n"
            "print(s.makefile().readline())\n"
        )
        done = subprocess.run(
            ["/usr/bin/python3", "-c", code] if Path("/usr/bin/python3").exists() else
            ["perl", "-e", "exit 1"], cwd=store, user=65534, capture_output=True, text=True)  # fmt: skip
        assert "only root may ask for another account" in done.stdout, done.stderr


def test_the_server_of_a_person_serves_nobody_else(tmp_path: Path) -> None:
    from repoint.page.app_state import AppState
    from repoint.page.control_server import ControlServer
    from repoint.page.control_socket import LinkResponse

    control = ControlServer(AppState(tmp_path, 1, uid=1000))
    assert control.respond(1001, b"{}\n") == LinkResponse(refused="it belongs to another account")
    assert control.respond(1000, b"{}\n").link
    assert control.respond(0, b'{"uid": 1000}\n').link
    assert control.respond(1000, b"nonsense").refused
    everybodys = ControlServer(AppState(tmp_path, 1, uid=0))
    assert everybodys.respond(1001, b"{}\n").link


def test_a_socket_of_a_server_that_was_killed_is_replaced(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    with settings(store) as served:
        served.process.kill()
        served.process.wait()
    assert (store / "page.sock").exists()
    assert request_link(store / "page.sock", None) is None
    with settings(store) as served:
        assert served.link()


def test_a_link_lasts_for_two_minutes() -> None:
    from repoint.page.auth.login_links import LoginLinks

    now = [0.0]
    links = LoginLinks(lambda: now[0], LIMITS)
    secret = links.create(7)
    now[0] = 119.9
    assert links.owner(secret) == 7
    now[0] = 120
    assert links.owner(secret) is None


def test_a_session_lasts_half_a_day_and_ends_with_the_boot(tmp_path: Path) -> None:
    now = [1_700_000_000.0]
    store = PageStore(tmp_path)
    sessions = Sessions(store, lambda: now[0], LIMITS, boot="one")
    secret, other = sessions.begin(7), sessions.begin(7)
    assert sessions.find(secret)
    for wrong in (Secrets(secret.key, ""), Secrets("", secret.cookie), Secrets(*secret[::-1]),
                  Secrets(secret.key, other.cookie), Secrets(other.key, secret.cookie)):  # fmt: skip
        assert sessions.find(wrong) is None
    stored = (store.folder / "sessions.json").read_text()
    assert secret.key not in stored
    assert secret.cookie not in stored
    assert Sessions(store, lambda: now[0], LIMITS, boot="two").find(secret) is None
    now[0] += LIFETIME
    assert sessions.find(secret) is None


def test_the_passcode_of_an_installation_permits_its_restart_for_ten_minutes(
    tmp_path: Path,
) -> None:
    now = [1_700_000_000.0]
    sessions = Sessions(PageStore(tmp_path), lambda: now[0], LIMITS, boot="one")
    secret = sessions.begin(7)
    sessions.grant_restart(secret, "kiosk 1 (a)")
    session = sessions.find(secret)
    assert session is not None
    assert sessions.may_restart(session, "kiosk 1 (a)")
    assert not sessions.may_restart(session, "kiosk 1 (b)")
    now[0] += GRANT_LIFETIME
    assert not sessions.may_restart(session, "kiosk 1 (a)")


def test_a_refusal_of_the_control_socket_is_an_error_with_a_hint(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def refuse() -> None:
            connection, _ = listener.accept()
            connection.recv(100)
            connection.sendall(b'{"refused": "it belongs to another account"}\n')
            connection.close()

        thread = threading.Thread(target=refuse)
        thread.start()
        with pytest.raises(PageNotOpenedError) as refused:
            request_link(path, None)
        thread.join()
    assert "another account" in refused.value.message
    assert refused.value.hint


def test_a_request_for_a_link_waits_while_the_queue_of_the_server_is_full(tmp_path: Path) -> None:
    path = tmp_path / "page.sock"
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket(socket.AF_UNIX))
        listener.bind(str(path))
        listener.listen(0)
        hoard = []
        with contextlib.suppress(BlockingIOError):
            while True:
                held = stack.enter_context(socket.socket(socket.AF_UNIX))
                held.setblocking(False)
                held.connect(str(path))
                hoard.append(held)
        assert hoard
        links: list[str | None] = []
        thread = threading.Thread(target=lambda: links.append(request_link(path, None)))
        thread.start()
        thread.join(0.2)
        assert thread.is_alive(), f"it did not wait: {links}"
        for _ in hoard:
            listener.accept()[0].close()
        connection = stack.enter_context(listener.accept()[0])
        assert connection.recv(100)
        connection.sendall(b'{"link": "http://127.0.0.1:1/open/x"}\n')
        thread.join()
    assert links == ["http://127.0.0.1:1/open/x"]


def test_a_server_that_does_not_answer_is_not_waited_for_without_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("repoint.page.control_socket._TIMEOUT", 0.05)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "page.sock"))
        listener.listen()
        assert request_link(tmp_path / "page.sock", None) is None
