"""The store of events, in a folder and in a bucket: what was acknowledged gets there, once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest

from repoint.fleet.events.archive import Archive
from repoint.fleet.events.file_names import EventFile, readable_files
from repoint.fleet.events.objects import (
    EventAddressError,
    EventStoreError,
    Folder,
    ObjectStore,
    open_objects,
)
from repoint.fleet.events.query import QueryError, query
from repoint.fleet.stores import state as state_module
from repoint.fleet.stores.errors import TooManyDeletionsError
from repoint.fleet.stores.opening import open_state
from repoint.fleet.stores.state import SqlState
from tests.fleet.reports import count, event, new_id
from tests.fleet.seaweedfs import SeaweedFS

HOUR, DAY = 3600, 86_400
NOW = 1_790_000_000 // DAY * DAY
FIRST, LAST = date(2020, 1, 1), date(2100, 1, 1)


@pytest.fixture
def state(database: str) -> Iterator[SqlState]:
    opened = open_state(database, keeps_events=True)
    yield opened
    opened.close()


@pytest.fixture(params=["folder", "bucket"])
def objects(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> ObjectStore:
    if request.param == "folder":
        return open_objects(str(tmp_path / "events"))
    server: SeaweedFS = request.getfixturevalue("seaweedfs")
    for name, value in server.environment().items():
        monkeypatch.setenv(name, value)
    return open_objects(server.new_address())


def one_value(objects: ObjectStore, sql: str) -> object:
    return query(objects, sql, FIRST, LAST).rows[0][0]


def total(objects: ObjectStore) -> object:
    return one_value(objects, "SELECT count(*) FROM events")


def test_the_reports_of_an_hour_are_one_file(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    identity = new_id()
    state.add(
        [count(), event("failed", identity, failure="health", age=90, ring="early")], NOW + 60
    )
    state.add([count("a")], NOW + HOUR - 1)
    assert archive.export(NOW + HOUR + 60) == 0, "a transaction of that hour may still end"
    state.add([count("a")], NOW + HOUR)
    assert archive.export(NOW + HOUR + 180) == 1
    assert objects.names() == [
        f"{datetime.fromtimestamp(NOW, UTC).date()}/00-000000000001-000000000002.parquet"
    ]
    assert total(objects) == 3
    assert state.spool().waiting() == (1, NOW // HOUR + 1)
    row = query(
        objects,
        "SELECT id, kind, failure, ring, time, received FROM events WHERE id IS NOT NULL",
        FIRST,
        LAST,
    ).rows[0]
    received = datetime.fromtimestamp(NOW + 60, UTC).replace(tzinfo=None)
    assert (row[0].hex, *row[1:4]) == (identity, "failed", "health", "early")
    assert (row[4], row[5]) == (received - timedelta(seconds=90), received)


def test_a_busy_hour_is_written_before_it_is_over(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects, chunk=10)
    for _ in range(5):
        state.add([count() for _ in range(4)], NOW)
    assert archive.export(NOW) == 1
    assert (total(objects), state.spool().waiting().reports) == (12, 8)
    assert archive.export(NOW + 2 * HOUR) == 1
    assert total(objects) == 20


def test_a_day_is_merged_into_one_file(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    for hour in (0, 1, 23, 24, 25):
        state.add([count(), event("staged", new_id())], NOW + hour * HOUR)
    archive.export(NOW + 30 * HOUR)
    assert len(objects.names()) == 5
    assert archive.compact(NOW + 30 * HOUR) == 1
    assert [name.partition("/")[2][:3] for name in objects.names()] == ["day", "00-", "01-"]
    assert total(objects) == 10
    assert archive.compact(NOW + 30 * HOUR) == 0


def test_a_day_is_not_merged_while_some_of_it_waits(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    state.add([count()], NOW)
    archive.export(NOW + 2 * HOUR)
    state.add([count()], NOW + 23 * HOUR)
    assert archive.compact(NOW + 30 * HOUR) == 0
    archive.export(NOW + 30 * HOUR)
    assert archive.compact(NOW + 30 * HOUR) == 1


def test_a_merge_that_was_interrupted_counts_nothing_twice(
    state: SqlState, objects: ObjectStore
) -> None:
    archive = Archive(state.spool(), objects)
    for hour in range(3):
        state.add([count()], NOW + hour * HOUR)
    archive.export(NOW + 5 * HOUR)
    before = {name: objects.read(name) for name in objects.names()}
    archive.compact(NOW + 30 * HOUR)
    for name, data in before.items():
        objects.create(name, data)  # as if they had not been deleted yet
    assert total(objects) == 3
    archive.compact(NOW + 30 * HOUR)
    assert len(objects.names()) == 1


def test_two_collectors_that_export_at_once_write_every_report_once(
    state: SqlState, objects: ObjectStore
) -> None:
    for _ in range(3):
        state.add([count()], NOW)
    chunk = state.spool().next_chunk(NOW // HOUR + 1, 1000)
    archive = Archive(state.spool(), objects)
    archive.export(NOW + 2 * HOUR)
    assert chunk is not None
    state.spool().drop(chunk)
    assert archive.export(NOW + 2 * HOUR) == 0
    assert total(objects) == 3


def test_a_deleted_id_is_in_no_file_afterwards(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    gone, kept, device = new_id(), new_id(), new_id()
    state.add([event("staged", gone), event("staged", kept)], NOW)
    archive.export(NOW + 2 * HOUR)
    state.add([event("confirmed", gone), count(device=device)], NOW + 2 * HOUR)
    state.forget([gone, device], NOW + 3 * HOUR)
    state.add([event("staged", gone)], NOW + 4 * HOUR)  # consented once more
    assert archive.forget() == 1
    archive.export(NOW + 6 * HOUR)
    assert query(objects, "SELECT kind, id FROM events ORDER BY received", FIRST, LAST).rows == [
        ("staged", UUID(kept)), ("staged", UUID(gone))
    ]  # fmt: skip
    assert len(state.spool().forgotten()) == 2, "known until nothing that waits can have them"
    archive.forget()
    assert state.spool().forgotten() == {}


def test_many_deletions_of_ids_that_nobody_knows_cost_little(
    state: SqlState, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_module, "_MOST_DELETIONS", 3000)
    archive = Archive(state.spool(), objects)
    gone, kept = new_id(), new_id()
    state.add([event("staged", gone), event("staged", kept), count()], NOW)
    archive.export(NOW + 2 * HOUR)
    for _ in range(3):
        state.forget([new_id() for _ in range(1000)], NOW + 3 * HOUR)
    with pytest.raises(TooManyDeletionsError):
        state.forget([gone, new_id()], NOW + 3 * HOUR)
    assert archive.forget() == 1, "an id that is known is deleted all the same"
    assert query(objects, "SELECT id FROM events ORDER BY id", FIRST, LAST).rows == [
        (UUID(kept),), (None,)
    ]  # fmt: skip


def test_old_days_are_deleted(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    for day in (0, 50, 99):
        state.add([count()], NOW + day * DAY)
    archive.export(NOW + 100 * DAY)
    archive.compact(NOW + 100 * DAY)
    assert archive.expire(NOW + 100 * DAY, 90) == 1
    assert total(objects) == 2


def test_nothing_was_reported_yet(state: SqlState, objects: ObjectStore) -> None:
    archive = Archive(state.spool(), objects)
    assert (archive.export(NOW), archive.compact(NOW), archive.forget()) == (0, 0, 0)
    assert total(objects) == 0


def test_a_query_that_is_wrong_says_so(tmp_path: Path) -> None:
    with pytest.raises(QueryError, match=r"The query failed: .*nothing_like_that"):
        query(Folder(tmp_path), "SELECT * FROM nothing_like_that", FIRST, LAST)


class HalfWriter(Folder):
    """A store that keeps half of the first file, and says that all is well."""

    def create(self, name: str, data: bytes) -> bool:
        return super().create(name, data[: len(data) // 2])


class Liar(HalfWriter):
    def replace(self, name: str, data: bytes) -> None:
        super().replace(name, data[:-1])


def test_half_a_write_is_written_again(state: SqlState, tmp_path: Path) -> None:
    state.add([count(), count()], NOW)
    first = Archive(state.spool(), HalfWriter(tmp_path / "events"))
    with pytest.raises(EventStoreError, match="returns another content"):
        first.export(NOW + 2 * HOUR)
    assert state.spool().waiting().reports == 2
    objects = Folder(tmp_path / "events")
    assert Archive(state.spool(), objects).export(NOW + 2 * HOUR) == 1
    assert (total(objects), state.spool().waiting().reports) == (2, 0)


def test_a_store_that_never_keeps_what_it_gets_gets_nothing_for_good(
    state: SqlState, tmp_path: Path
) -> None:
    state.add([count()], NOW)
    archive = Archive(state.spool(), Liar(tmp_path / "events"))
    for _ in range(2):
        with pytest.raises(EventStoreError):
            archive.export(NOW + 2 * HOUR)
    assert state.spool().waiting().reports == 1


def test_a_folder_that_cannot_be_written_says_so(state: SqlState, tmp_path: Path) -> None:
    (tmp_path / "events").write_text("a file")
    state.add([count()], NOW)
    with pytest.raises(EventStoreError, match=r"failed: .*Events wait in the database"):
        Archive(state.spool(), open_objects(str(tmp_path / "events"))).export(NOW + 2 * HOUR)
    assert state.spool().waiting().reports == 1


@pytest.mark.parametrize("address", ["", "s3://", "http://example.com", "gs://bucket"])
def test_what_is_no_place_for_events_is_refused(address: str) -> None:
    with pytest.raises(EventAddressError):
        open_objects(address)


def test_a_bucket_is_not_talked_to_in_the_clear(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://storage.example.com")
    with pytest.raises(EventAddressError, match="without encryption"):
        open_objects("s3://fleet")


def test_files_of_others_are_left_alone() -> None:
    names = [
        "2026-11-30/06-000000000001-000000000002.parquet",
        "notes.parquet",
        "2026-13-41/06-000000000001-000000000002.parquet",
    ]
    kept, covered = readable_files(names)
    assert kept == [EventFile(date(2026, 11, 30), "06", 1, 2)]
    assert kept[0].name == names[0]
    assert covered == []
