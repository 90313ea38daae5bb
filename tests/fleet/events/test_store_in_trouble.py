"""A collector whose store of events answers 500, or nothing at all, takes reports all the same."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import EventStoreError, open_objects
from repoint.fleet.events.query import query
from repoint.fleet.stores.opening import open_state
from tests.fleet.collector import CollectorProcess
from tests.fleet.events.test_archive import FIRST, LAST, NOW, total
from tests.fleet.reports import count
from tests.fleet.seaweedfs import SeaweedFS


class Proxy:
    """Stands before a server, and does with each connection what `fault` says."""

    def __init__(self, target: int) -> None:
        self.fault = ""
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            if self.fault == "500":
                client.recv(65536)
                client.sendall(
                    b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                )
                return
            back = threading.Thread(target=self._copy, args=(server, client, False), daemon=True)
            back.start()
            self._copy(client, server, self.fault == "cut")
            back.join()

    def _copy(self, source: socket.socket, target: socket.socket, cut: bool) -> None:
        try:
            while data := source.recv(512 if cut else 65536):
                if self.fault == "slow":
                    time.sleep(0.3)
                target.sendall(data)
                if cut:
                    break  # the head and a part of the body
            target.shutdown(socket.SHUT_WR)
            if cut:
                source.shutdown(socket.SHUT_RDWR)
        except OSError:
            return


@pytest.fixture
def proxy(seaweedfs: SeaweedFS, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    made = Proxy(seaweedfs.port)
    for name, value in seaweedfs.environment(made.port).items():
        monkeypatch.setenv(name, value)
    yield made
    made.close()


@pytest.mark.parametrize("fault", ["500", "cut"])
def test_events_wait_until_the_store_works_again(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path, fault: str
) -> None:
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", keeps_events=True)
    state.add([count() for _ in range(50)], NOW)
    objects = open_objects(seaweedfs.new_address())
    archive = Archive(state.spool(), objects)
    proxy.fault = fault
    with pytest.raises(EventStoreError, match="Events wait in the database"):
        archive.export(NOW + 7200)
    assert state.spool().waiting().reports == 50
    proxy.fault = ""
    assert archive.export(NOW + 7200) == 1
    assert (total(objects), state.spool().waiting().reports) == (50, 0)
    state.close()


def test_a_slow_store_gets_everything_once(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", keeps_events=True)
    state.add([count() for _ in range(50)], NOW)
    objects = open_objects(seaweedfs.new_address())
    proxy.fault = "slow"
    Archive(state.spool(), objects).export(NOW + 7200)
    proxy.fault = ""
    assert query(objects, "SELECT count(*) FROM events", FIRST, LAST).rows == [(50,)]
    state.close()


def test_a_collector_says_once_that_its_store_fails_and_goes_on(
    proxy: Proxy, seaweedfs: SeaweedFS, tmp_path: Path
) -> None:
    proxy.fault = "500"
    database = f"sqlite:///{tmp_path}/fleet.db"
    state = open_state(database, keeps_events=True)
    state.add([count()], int(time.time()) - 7200)
    state.close()
    collector = CollectorProcess(database, "--events", seaweedfs.new_address())
    assert collector.send([count()]).status == 202
    deadline = time.monotonic() + 20
    while not collector.lines and time.monotonic() < deadline:
        time.sleep(0.05)
    assert collector.send([count()]).status == 202
    assert collector.stop() == 0
    assert collector.lines
    assert all(
        line.startswith("repoint: The store of events s3://fleet") for line in collector.lines
    )
    state = open_state(database)
    assert state.spool().waiting().reports == 3
    state.close()
