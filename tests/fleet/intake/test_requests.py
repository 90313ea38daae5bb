"""What the collector answers, also to what no device would send."""

from __future__ import annotations

import concurrent.futures
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from repoint.fleet.stores.opening import open_state
from repoint.model.report import MAX_BATCH, MAX_REPORT, Report
from tests.fleet.collector import CollectorProcess, memory_of
from tests.fleet.reports import PRODUCT, count, event, new_id


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> str:
    return f"sqlite:///{tmp_path_factory.mktemp('fleet')}/fleet.db"


@pytest.fixture(scope="module")
def collector(database: str) -> Iterator[CollectorProcess]:
    process = CollectorProcess(database, "--product", PRODUCT, "--limit", "0")
    yield process
    assert process.stop() == 0
    assert process.lines == [], "nothing that strangers send reaches the journal"


def as_json(report: Report, **changes: Any) -> dict[str, Any]:
    return json.loads(msgspec.json.encode(report)) | changes  # type: ignore[no-any-return]


def body(*parts: object) -> bytes:
    return json.dumps(parts).encode()


def test_reports_are_taken_with_an_empty_answer(collector: CollectorProcess, database: str) -> None:
    identity = new_id()
    answer = collector.send([event("staged", identity), count()])
    assert (answer.status, answer.body) == (202, b"")
    state = open_state(database)
    assert state.find(identity)[0].kind == "staged"
    state.close()


def test_reports_in_any_json_form_are_taken(collector: CollectorProcess) -> None:
    spaced = json.dumps([as_json(count(), exposed=0, age=0)], indent=4, sort_keys=True)
    assert collector.request("POST", spaced.encode()).status == 202


def test_an_empty_array_is_taken(collector: CollectorProcess) -> None:
    assert collector.request("POST", b"[]").status == 202


DEEP = b'[{"format":' + b"[" * 100_000 + b"]" * 100_000 + b"}]"
GOOD = msgspec.json.encode(count())

MALFORMED = {
    "nothing": b"",
    "no JSON": b"hello",
    "cut off": b'[{"format":"1.0"',
    "an object": GOOD,
    "a number": b"7",
    "not UTF-8": b"[\xff\xfe]",
    "UTF-16": "[]".encode("utf-16"),
    "deeply nested": b"[" * 200_000,
    "two arrays": b"[][]",
    "half a surrogate": json.dumps([as_json(count(), agent="\ud800")]).encode(),
}

NO_REPORT: dict[str, Any] = {
    "an empty object": {},
    "a word": "count",
    "null": None,
    "an unknown field": as_json(count(), host="kiosk-7"),
    "another format": as_json(count(), format="2.0"),
    "another kind": as_json(count(), kind="exploded"),
    "a name that is a path": as_json(count(), product="../../etc"),
    "a name that is a program": as_json(count(), product="<script>alert(1)</script>"),
    "a short nonce": as_json(count(), nonce="abc"),
    "a number as text": as_json(count(), exposed="3"),
    "a fraction": as_json(count(), exposed=1.5),
    "a negative number": as_json(event("staged", new_id()), age=-1),
    "an event from before there were any": as_json(event("staged", new_id()), age=10**9),
    "more processes than there can be": as_json(count(), exposed=10**7),
    "a number beyond all machines": as_json(count(), exposed=10**400),
    "a count with an id": as_json(count(), id=new_id()),
    "an event without an id": as_json(event("staged", new_id()), id=""),
    "an event without a letter": as_json(event("staged", new_id()), letter=""),
    "a failure without a kind": as_json(event("staged", new_id()), kind="failed"),
    "a kind of failure that there is not": as_json(event("staged", new_id()), failure="x"),
    "an unknown product": as_json(count(product="other")),
    "a NUL": as_json(count(), ring="a\x00b"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_body_that_is_no_array_of_reports_is_refused(
    collector: CollectorProcess, name: str
) -> None:
    answer = collector.request("POST", MALFORMED[name])
    assert answer.status == 400
    assert answer.json().keys() == {"error"}
    assert "The body is no array of reports" in answer.json()["error"]


@pytest.mark.parametrize("name", NO_REPORT)
def test_a_wrong_report_is_refused_with_its_index_and_nothing_is_taken(
    collector: CollectorProcess, database: str, name: str
) -> None:
    identity = new_id()
    answer = collector.request(
        "POST", body(as_json(event("staged", identity)), NO_REPORT[name], as_json(count()))
    )
    assert (answer.status, answer.json()["index"]) == (400, 1)
    assert answer.json()["error"]
    state = open_state(database)
    assert state.find(identity) == []
    state.close()


def test_a_report_that_is_nested_without_end_is_refused(collector: CollectorProcess) -> None:
    assert collector.request("POST", DEEP).status == 400


def test_a_field_that_is_named_twice_is_refused(collector: CollectorProcess) -> None:
    twice = GOOD.replace(b'"kind":"count"', b'"kind":"staged","kind":"count"')
    answer = collector.request("POST", b"[" + GOOD + b"," + twice + b"]")
    assert answer.status == 400
    assert answer.json() == {"error": "Not a valid report: a field is named twice", "index": 1}


def test_more_reports_than_a_batch_may_have_are_refused(collector: CollectorProcess) -> None:
    assert collector.send([count() for _ in range(MAX_BATCH)]).status == 202
    answer = collector.send([count() for _ in range(MAX_BATCH + 1)])
    assert (answer.status, "index" in answer.json()) == (413, False)


def test_a_report_of_more_than_four_kibibytes_is_refused(collector: CollectorProcess) -> None:
    padded = GOOD[:-1] + b" " * MAX_REPORT + b"}"
    answer = collector.request("POST", b"[" + padded + b"]")
    assert (answer.status, answer.json()["index"]) == (413, 0)


def test_a_huge_body_is_refused_and_costs_no_memory(collector: CollectorProcess) -> None:
    before = memory_of(collector.process.pid)
    assert collector.request("POST", b" " * 8_000_000).status == 413
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: collector.request("POST", b" " * 8_000_000).status, range(24))
        assert set(answers) == {413}
    assert memory_of(collector.process.pid) - before < 40_000_000


def test_other_methods_and_paths_are_not_there(collector: CollectorProcess) -> None:
    assert collector.request("GET", b"").status == 405
    assert collector.request("PUT", b"[]").status == 405


def test_a_request_that_never_ends_holds_nobody_up(collector: CollectorProcess) -> None:
    with socket.create_connection(("127.0.0.1", collector.port)) as slow:
        slow.sendall(b"POST /v1/reports HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n[")
        assert collector.send([count()]).status == 202


def test_ids_are_forgotten(collector: CollectorProcess, database: str) -> None:
    identity = new_id()
    collector.send([event("staged", identity)])
    answer = collector.request("DELETE", body(identity, new_id()))
    assert (answer.status, answer.body) == (202, b"")
    state = open_state(database)
    assert state.find(identity) == []
    state.close()


@pytest.mark.parametrize(
    ("text", "status", "index"),
    [(b"{}", 400, None), (b'["x"]', 400, 0), (b"[1]", 400, None), (b"[" * 99_999, 400, None),
     (body(*[new_id() for _ in range(1001)]), 413, None)],
)  # fmt: skip
def test_what_are_no_ids_is_refused(
    collector: CollectorProcess, text: bytes, status: int, index: int | None
) -> None:
    answer = collector.request("DELETE", text)
    assert (answer.status, answer.json().get("index")) == (status, index)


@pytest.fixture
def limited(tmp_path: Path) -> Iterator[CollectorProcess]:
    process = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db", "--limit", "300")
    yield process
    process.stop()


def test_an_address_that_sends_too_much_has_to_wait(limited: CollectorProcess) -> None:
    assert limited.send([count() for _ in range(256)]).status == 202
    answer = limited.send([count() for _ in range(256)])
    assert answer.status == 429
    assert 0 < int(answer.headers["retry-after"]) <= 60
    assert "Too many reports" in answer.json()["error"]
    other = limited.request(
        "POST", msgspec.json.encode([count()]), {"X-Forwarded-For": "198.51.100.7"}
    )
    assert other.status == 202, "another address, behind a proxy on this machine"


def test_a_hundred_thousand_reports_from_one_address_are_mostly_turned_away(
    limited: CollectorProcess,
) -> None:
    text = msgspec.json.encode([count() for _ in range(200)])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(lambda _: limited.request("POST", text).status, range(500)))
    assert statuses.count(202) <= 2
    assert set(statuses) == {202, 429}


def test_each_id_to_forget_counts_against_the_limit(limited: CollectorProcess) -> None:
    assert limited.request("DELETE", body(*[new_id() for _ in range(200)])).status == 202
    refused = limited.request("DELETE", body(*[new_id() for _ in range(200)]))
    assert refused.status == 429
    assert int(refused.headers["retry-after"]) > 0
    assert limited.request("DELETE", body(new_id())).status == 202


def test_what_is_no_http_says_nothing_in_the_journal(collector: CollectorProcess) -> None:
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", collector.port)) as stranger:
            stranger.sendall(b"\x16\x03\x01 no HTTP\r\n\r\n")
            assert b"400" in stranger.recv(4096)
