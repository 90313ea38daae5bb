"""Other accounts that take more than their share of connections, links or sessions."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest

from repoint.page.auth.account_limits import AccountLimits
from repoint.page.auth.login_links import LoginLinks
from repoint.page.auth.sessions import Sessions
from repoint.page.page_store import PageStore
from tests.page.conftest import Fort
from tests.page.settings import Client
from tests.page.stranger import STRANGER, as_root, stranger_holds

PANEL = "/product/acme-kiosk/"


@as_root
@pytest.mark.parametrize(
    "script",
    [
        "held = [connect() for _ in range(300)]",
        "held = [connect() for _ in range(300)]\nfor k in held:\n try: k.sendall(b'GET / HT')\n"
        " except OSError: pass",
    ],
    ids=["silent", "half a head"],
)
def test_a_hoard_of_connections_keeps_nobody_else_out(fort: Fort, script: str) -> None:
    owner = Client.entered(fort.served)
    with stranger_holds(owner.port, script):
        for _ in range(3):
            assert owner.send("GET", PANEL)[0].status == 200
        assert Client.entered(fort.served).send("GET", PANEL)[0].status == 200


@as_root
def test_a_hoard_of_control_connections_keeps_nobody_else_out(fort: Fort) -> None:
    path = fort.place.folder / "store/page.sock"
    for folder in path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    script = (
        "held = []\nos.chdir(os.path.dirname(sys.argv[2]))\nfor _ in range(200):\n"
        " k = socket.socket(socket.AF_UNIX); k.setblocking(False)\n"
        " try: k.connect('page.sock')\n except OSError: continue\n held.append(k)"
    ).replace("sys.argv[2]", repr(str(path)))
    with stranger_holds(0, script):
        assert fort.served.link()


@as_root
def test_a_burst_of_connections_uses_up_no_descriptors(fort: Fort) -> None:
    owner = Client.entered(fort.served)
    pid = fort.served.process.pid
    burst = (
        "held = []\nfor _ in range(900):\n"
        " k = socket.socket(); k.setblocking(False)\n"
        " try: k.connect(('127.0.0.1', port))\n except OSError: pass\n held.append(k)"
    )
    most, is_over = 0, threading.Event()

    def watch() -> None:
        nonlocal most
        while not is_over.is_set():
            most = max(most, len(os.listdir(f"/proc/{pid}/fd")))

    watching = threading.Thread(target=watch)
    os.kill(pid, signal.SIGSTOP)
    try:
        with stranger_holds(owner.port, burst):
            watching.start()
            os.kill(pid, signal.SIGCONT)
            assert owner.send("GET", PANEL)[0].status == 200
    finally:
        os.kill(pid, signal.SIGCONT)
        is_over.set()
        watching.join()
    assert most < 400, "more descriptors than connections may stay open"


LIMITS = AccountLimits(each=3, total=9, is_privileged=lambda uid: uid < 10)


@pytest.mark.parametrize(
    ("held", "uid", "evicted"),
    [
        ([], 50, []),
        ([0, 50, 50], 50, []),
        ([50, 0, 50, 50], 50, [0]),  # its own oldest
        ([50] * 3 + [0], 0, []),
        ([0] + [50] * 3, 50, [1]),
        ([0, 0, 0, 50, 51, 52, 53, 54, 55], 56, [3]),  # the oldest of those without privileges
        ([0, 0, 0, 50, 51, 52, 53, 54, 55], 1, [3]),
        ([0, 0, 0, 1, 1, 1, 2, 2, 2], 50, []),  # none, if all have privileges
    ],
)
def test_an_account_displaces_itself_first_and_never_an_administrator(
    held: list[int], uid: int, evicted: list[int]
) -> None:
    assert LIMITS.to_evict(uid, list(enumerate(held))) == evicted


def test_forty_links_of_one_account_leave_those_of_others() -> None:
    links = LoginLinks(lambda: 0.0, AccountLimits(8, 256, lambda uid: uid == 0))
    roots, persons = links.create(0), links.create(1000)
    strangers = [links.create(STRANGER) for _ in range(40)]
    for uid in range(100_000, 101_000):  # accounts that it creates in a user namespace
        links.create(uid)
    assert links.owner(roots) == 0
    assert links.owner(persons) is None
    assert [links.owner(secret) for secret in strangers[:32]] == [None] * 32
    fresh = links.create(1000)
    for _ in range(40):
        links.create(STRANGER)
    assert links.owner(fresh) == 1000


def test_forty_sessions_of_one_account_leave_those_of_others(tmp_path: Path) -> None:
    sessions = Sessions(
        PageStore(tmp_path), lambda: 1e9, AccountLimits(3, 9, lambda uid: uid == 0), boot="one"
    )
    roots, persons = sessions.begin(0), sessions.begin(1000)
    for _ in range(40):
        sessions.begin(STRANGER)
    assert sessions.find(roots)
    assert sessions.find(persons)
