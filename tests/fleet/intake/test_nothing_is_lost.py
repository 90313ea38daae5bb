"""What was acknowledged is on disk: killed collectors, databases that are away, full or restarted."""

from __future__ import annotations

import contextlib
import http.client
import itertools
import random
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
import sqlalchemy as sa

from repoint.fleet.stores.opening import open_state
from repoint.fleet.stores.tables import states
from tests.fleet.collector import CollectorProcess
from tests.fleet.postgresql import PostgreSQLServer
from tests.fleet.reports import PRODUCT, event, new_id


class Load:
    """Devices that send without a pause, and note which ids were acknowledged."""

    def __init__(self, port: int, devices: int = 4) -> None:
        self.acknowledged: set[str] = set()
        self.statuses: set[int] = set()
        self._port = port
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(devices)]
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Wait until something was acknowledged."""
        deadline = time.monotonic() + 20
        while not self.acknowledged and time.monotonic() < deadline:
            time.sleep(0.002)

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=20)
        for size in itertools.cycle((1, 7, 40)):
            if self._stop.is_set():
                break
            ids = [new_id() for _ in range(size)]
            body = msgspec.json.encode([event("staged", one) for one in ids])
            try:
                connection.request("POST", "/v1/reports", body)
                response = connection.getresponse()
                response.read()
                self.statuses.add(response.status)
                if response.status == 202:
                    self.acknowledged.update(ids)
                else:
                    time.sleep(0.02)
            except (OSError, http.client.HTTPException):
                connection.close()
                time.sleep(0.02)
        connection.close()


def assert_all_there(database: str, acknowledged: set[str]) -> None:
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.connect() as connection:
        ids = connection.scalars(sa.select(states.c.id))
        there = {one.hex() if isinstance(one, bytes) else one.hex for one in ids}
    engine.dispose()
    missing = acknowledged - there
    state = open_state(database)
    tallied = sum(outcome.staged for outcome in state.outcomes(PRODUCT))
    state.close()
    assert not missing, f"{len(missing)} of {len(acknowledged)} acknowledged reports are lost"
    assert tallied >= len(acknowledged), "the roll-ups change with the rows"


def kill_under_load(database: str, rounds: int) -> None:
    rng = random.Random(14)
    acknowledged: set[str] = set()
    port = 0
    for _ in range(rounds):
        collector = CollectorProcess(database, "--limit", "0", port=port)
        port = collector.port
        load = Load(port)
        load.wait()
        time.sleep(rng.uniform(0, 0.4))
        collector.kill()
        load.stop()
        acknowledged |= load.acknowledged
    assert len(acknowledged) >= rounds
    assert_all_there(database, acknowledged)


def test_a_killed_collector_has_lost_nothing_that_it_acknowledged(database: str) -> None:
    kill_under_load(database, 1)


@pytest.mark.slow
def test_collectors_killed_at_twenty_instants_have_lost_nothing(database: str) -> None:
    kill_under_load(database, 20)


def test_a_collector_that_is_stopped_first_writes_what_waits(database: str) -> None:
    collector = CollectorProcess(database, "--limit", "0")
    load = Load(collector.port)
    load.wait()
    collector.process.send_signal(signal.SIGTERM)
    time.sleep(0.2)
    load.stop()
    assert collector.process.wait(30) == 0
    assert load.acknowledged
    assert_all_there(database, load.acknowledged)


@pytest.fixture
def own_postgresql() -> Iterator[PostgreSQLServer]:
    server = PostgreSQLServer()
    yield server
    server.close()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT])
def test_a_database_that_is_restarted_loses_nothing_and_is_found_again(
    own_postgresql: PostgreSQLServer, how: signal.Signals
) -> None:
    database = own_postgresql.new_database()
    collector = CollectorProcess(database, "--limit", "0")
    load = Load(collector.port)
    time.sleep(0.5)
    own_postgresql.stop(how)
    answer = collector.send([event("staged", new_id())])
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.json() == {"error": "The database does not answer"}
    before = len(load.acknowledged)
    own_postgresql.start()
    time.sleep(1)
    load.stop()
    assert len(load.acknowledged) > before
    assert load.statuses == {202, 503}
    assert collector.stop() == 0
    assert_all_there(database, load.acknowledged)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(folder)],
        capture_output=True, check=False,
    )  # fmt: skip
    if done.returncode:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_full_disk_is_said_and_nothing_acknowledged_is_lost(small_disk: Path) -> None:
    database = f"sqlite:///{small_disk}/fleet.db"
    collector = CollectorProcess(database, "--limit", "0")
    acknowledged: set[str] = set()
    status = 202
    while status == 202:
        ids = [new_id() for _ in range(250)]
        answer = collector.send([event("staged", one) for one in ids])
        status = answer.status
        if status == 202:
            acknowledged.update(ids)
    assert status == 503
    assert collector.process.poll() is None
    assert collector.stop() == 0
    assert len(acknowledged) > 2000
    with contextlib.suppress(shutil.Error):
        moved = small_disk.parent / "roomy"
        shutil.copytree(small_disk, moved)
    assert_all_there(f"sqlite:///{moved}/fleet.db", acknowledged)
