"""The collector says once that something it needs is away, and once that it is back."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.fleet import upkeep
from repoint.fleet.events.archive import Archive
from repoint.fleet.events.objects import EventStoreError, open_objects
from repoint.fleet.events.parquet import UnreadableEventsError
from repoint.fleet.outages import Outages
from repoint.fleet.stores.errors import DatabaseAwayError
from repoint.fleet.stores.opening import open_state
from repoint.fleet.upkeep import Upkeep
from tests.fleet.collector import CollectorProcess
from tests.fleet.postgresql import PostgreSQLServer, programs
from tests.fleet.reports import count
from tests.fleet.seaweedfs import SeaweedFS

AWAY = DatabaseAwayError("The database failed: connection refused", hint="See whether it runs")
NO_STORE = EventStoreError("The store of events s3://fleet failed: it does not answer")


def test_an_outage_is_said_once_and_its_end_when_all_works_go_on() -> None:
    outages = Outages()
    assert outages.failed("export", AWAY) == str(AWAY)
    assert outages.failed("prune", AWAY) == ""
    assert outages.failed("export", AWAY) == ""
    assert outages.succeeded("compact") == ""
    assert outages.succeeded("export") == ""
    assert outages.concerns("prune")
    assert outages.succeeded("prune") == "The database answers again"
    assert outages.succeeded("prune") == ""
    assert outages.failed("export", AWAY) == str(AWAY)


def test_another_cause_of_an_outage_is_said_but_not_without_end() -> None:
    outages = Outages()
    texts = [DatabaseAwayError(f"The database failed: {number}") for number in range(100)]
    said = [text for each in texts if (text := outages.failed("export", each))]
    assert said == [str(each) for each in texts[:5]]
    assert outages.succeeded("export") == "The database answers again"


def test_a_work_that_is_hindered_by_something_else_shows_that_the_first_is_back() -> None:
    outages = Outages()
    outages.failed("export", AWAY)
    assert outages.failed("export", NO_STORE) == str(NO_STORE)
    assert not outages.failed("export", NO_STORE)
    assert outages.succeeded("export") == "The store of events works again"


def test_a_damaged_file_is_no_outage_of_the_store() -> None:
    outages = Outages()
    error = UnreadableEventsError("A file is damaged")
    assert outages.failed("compact", error) == "A file is damaged"
    assert not outages.concerns("compact")
    assert outages.succeeded("compact") == ""


@contextlib.contextmanager
def working(made: Upkeep) -> Iterator[None]:
    """Let the upkeep work in the background."""

    async def main() -> None:
        task = asyncio.create_task(made.run())
        await asyncio.to_thread(stop.wait)
        task.cancel()

    stop = threading.Event()
    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed (`make services`)")
def test_the_collector_says_that_the_database_is_away_and_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "_EVERY_MINUTE", 0.1)
    server = PostgreSQLServer()
    state = open_state(server.new_database(), keeps_events=True)
    archive = Archive(state.spool(), open_objects(str(tmp_path)))
    said: list[str] = []
    with working(Upkeep(state, archive, None, 90, said.append)):
        for _ in range(2):
            server.stop()
            wait_for(lambda: bool(said))
            time.sleep(0.5)  # some further attempts
            server.start()
            wait_for(lambda: said[-1] == "The database answers again")
            causes = said[:-1]
            assert 1 <= len(causes) == len(set(causes)) <= 5, said
            assert all(cause.startswith("The database failed: ") for cause in causes)
            said.clear()
    state.close()
    server.close()


def test_a_disk_that_is_full_is_said_once_and_shown_until_reports_are_taken(
    tmp_path: Path,
) -> None:
    collector = CollectorProcess(
        f"sqlite:///{tmp_path}/fleet.db", "--limit", "0", "--admin", "127.0.0.1:0"
    )
    pid = collector.process.pid
    limits = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    for _ in range(2):
        # No file may grow: for a database, that is a full disk.
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1, limits[1]))
        for _ in range(3):
            assert collector.send([count()]).status == 503
        metrics = collector.get("/metrics")
        assert metrics.status == 200
        assert b"repoint_database_up 0.0" in metrics.body
        wait_for(lambda: len(collector.lines) == 1)
        assert "The database failed: " in collector.lines[0]
        resource.prlimit(pid, resource.RLIMIT_FSIZE, limits)
        assert collector.send([count()]).status == 202
        assert b"repoint_database_up 1.0" in collector.get("/metrics").body
        wait_for(lambda: len(collector.lines) == 2)
        assert "The database answers again" in collector.lines[1]
        collector.lines.clear()
    assert collector.stop() == 0


@pytest.mark.parametrize(
    ("bucket", "changed", "said"),
    [
        ("missing", {}, "s3://missing at {host} failed: the bucket does not exist. Create it"),
        ("fleet", {"AWS_ACCESS_KEY_ID": "x"}, "does not know this key. Correct AWS_ACCESS_KEY_ID"),
        ("fleet", {"AWS_SECRET_ACCESS_KEY": "x"},
         "the secret of the key is wrong. Correct AWS_SECRET_ACCESS_KEY"),
        ("fleet", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"},
         "s3://fleet at 127.0.0.1:9 failed: it does not answer. See whether it runs"),
    ],
)  # fmt: skip
def test_a_collector_says_at_its_start_what_is_wrong_with_the_store(
    seaweedfs: SeaweedFS, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bucket: str,
    changed: dict[str, str], said: str,
) -> None:  # fmt: skip
    for name, value in {**seaweedfs.environment(), **changed}.items():
        monkeypatch.setenv(name, value)
    database = f"sqlite:///{tmp_path}/fleet.db"
    collector = CollectorProcess(database, "--events", f"s3://{bucket}/events")
    try:
        wait_for(lambda: bool(collector.lines))
        assert collector.send([count()]).status == 202
    finally:
        assert collector.stop() == 0
    (line,) = collector.lines
    assert line.startswith("repoint: The store of events s3://")
    assert said.format(host=f"127.0.0.1:{seaweedfs.port}") in line
    assert line.rstrip().endswith("Events wait in the database until it works again")
