"""What programs read from a collector: the JSON API, CSV, Prometheus."""

from __future__ import annotations

import csv
import io
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from repoint.fleet.advisories.exposure import BaselineKey, exposures
from repoint.fleet.advisories.source import Advisories, AdvisoriesError
from repoint.fleet.records import Adoption, LetterName
from repoint.publisher.catalog.claims import Corrections
from tests.fleet.collector import CollectorProcess
from tests.fleet.postgresql import PostgreSQLServer, programs
from tests.fleet.reports import count, event, new_id
from tests.serving import WebServer
from tests.world import FIXED, NAME, Vendor, advisory

PRODUCT = "acme-kiosk"


def improved(vendor: Vendor) -> None:
    """Publish (a), which fixes one CVE, and (b), which fixes another."""
    vendor.release(None, "CVE-2023-4863")
    vendor.release(None, "CVE-2023-5129")


@pytest.fixture(scope="module")
def collector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CollectorProcess]:
    folder = tmp_path_factory.mktemp("fleet")
    vendor = Vendor(folder / "vendor")
    vendor.baseline()
    improved(vendor)
    process = CollectorProcess(
        f"sqlite:///{folder}/fleet.db", "--admin", "127.0.0.1:0",
        "--repository", str(vendor.public.parent),
    )  # fmt: skip
    process.send(
        [count(), count("a"), count("a", exposed=2), count("b"), event("staged", LETTER, "b"),
         event("failed", new_id(), "b", failure="health", ring="early")]
    )  # fmt: skip
    deadline = time.monotonic() + 20
    while not process.get(f"/api/v1/products/{PRODUCT}/exposure").json():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process
    assert process.stop() == 0
    assert process.lines == []


LETTER = new_id()


def read(collector: CollectorProcess, what: str) -> list[dict[str, object]]:
    answer = collector.get(f"/api/v1/products/{PRODUCT}/{what}")
    assert answer.status == 200
    return answer.json()  # type: ignore[no-any-return]


def test_products_and_ids_are_found(collector: CollectorProcess) -> None:
    assert collector.get("/api/v1/products").json() == [PRODUCT]
    found = collector.get(f"/api/v1/ids/{LETTER}").json()
    assert [(one["kind"], one["letter"]["letter"]) for one in found] == [("staged", "b")]
    assert collector.get(f"/api/v1/ids/{new_id()}").status == 404
    assert collector.get("/api/v1/ids/x").json() == {"error": "An id is 32 hexadecimal digits"}


def test_outcomes_adoption_and_failures_are_read_as_json(collector: CollectorProcess) -> None:
    assert [(o["ring"], o["staged"], o["failed"]) for o in read(collector, "outcomes")] == [
        ("", 1, 0), ("early", 1, 1)
    ]  # fmt: skip
    assert [a["devices"] for a in read(collector, "adoption")] == [1, 2, 1]
    assert [f["failure"] for f in read(collector, "failures")] == ["health"]


def test_exposure_counts_devices_without_the_fix_or_with_old_processes(
    collector: CollectorProcess,
) -> None:
    last = {one["cve"]: one["devices"] for one in read(collector, "exposure")}
    assert last == {"CVE-2023-4863": 2, "CVE-2023-5129": 3}


@pytest.mark.parametrize("what", ["outcomes", "adoption", "failures", "exposure"])
def test_everything_about_a_product_is_there_as_csv(collector: CollectorProcess, what: str) -> None:
    answer = collector.get(f"/api/v1/products/{PRODUCT}/{what}?format=csv")
    rows = list(csv.DictReader(io.StringIO(answer.body.decode())))
    records = read(collector, what)
    assert len(rows) == len(records) > 0
    letter = records[0].get("letter")
    if isinstance(letter, dict):
        assert rows[0]["platform"] == letter["platform"]


def test_what_is_asked_wrongly_is_refused(collector: CollectorProcess) -> None:
    for query in ("since=-1", "since=x", "since=" + "9" * 50, "format=xml", "since=1099511627777"):
        answer = collector.get(f"/api/v1/products/{PRODUCT}/adoption?{query}")
        assert (answer.status, list(answer.json())) == (400, ["error"])
    assert collector.get("/api/v1/products/other/adoption").status == 404


def test_prometheus_reads_the_figures(collector: CollectorProcess) -> None:
    text = collector.get("/metrics").body.decode()
    figures = {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }
    assert figures[("repoint_reports_total", "count")] == 4
    assert figures[("repoint_answers_total", "202")] == 1
    letter = (NAME.build, NAME.platform, NAME.version, PRODUCT)
    assert figures[("repoint_devices", *sorted((*letter, "a")))] == 2
    assert figures[("repoint_devices_running_replaced_code", *sorted((*letter, "a")))] == 1
    assert figures[("repoint_cve_exposed_devices", "CVE-2023-5129", PRODUCT)] == 3
    assert figures[("repoint_spooled_reports",)] == 0


def test_devices_reach_nothing_of_this(collector: CollectorProcess) -> None:
    collector.admin, kept = collector.port, collector.admin
    try:
        for path in ("/metrics", "/api/v1/products", "/api/v1/openapi.json"):
            assert collector.get(path).status == 404
    finally:
        collector.admin = kept


def test_with_a_token_nothing_is_read_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REPOINT_FLEET_TOKEN", "a secret of some length")
    process = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db", "--admin", "127.0.0.1:0")
    assert [process.get("/metrics", token).status for token in ("", "wrong", "a secret of some length")] == [
        401, 401, 200
    ]  # fmt: skip
    process.stop()


def test_a_network_does_not_read_without_a_token(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "repoint", "fleet", "serve", "--database",
         f"sqlite:///{tmp_path}/fleet.db", "--listen", "127.0.0.1:0", "--admin", "0.0.0.0:0"],
        capture_output=True, text=True, check=False, timeout=30,
        env={k: v for k, v in os.environ.items() if k != "REPOINT_FLEET_TOKEN"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "no token is set. Set REPOINT_FLEET_TOKEN" in done.stderr


def test_a_token_that_can_be_guessed_is_refused(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "repoint", "fleet", "serve", "--database",
         f"sqlite:///{tmp_path}/fleet.db", "--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"],
        capture_output=True, text=True, check=False, timeout=30,
        env=os.environ | {"REPOINT_FLEET_TOKEN": "123456789012345"},
    )  # fmt: skip
    assert done.returncode == 1
    assert "has fewer than 16 characters" in done.stderr


@pytest.mark.parametrize(
    ("host", "status"),
    [("127.0.0.1:8081", 200), ("[::1]:8081", 200), ("localhost", 200), ("LOCALHOST:1", 200),
     ("evil.example", 421), ("127.0.0.1.evil.example:80", 421), ("", 421), ("localhost:x", 421)],
)  # fmt: skip
def test_a_name_that_somebody_made_to_lead_here_reads_nothing(
    collector: CollectorProcess, host: str, status: int
) -> None:
    with socket.create_connection(("127.0.0.1", collector.admin), timeout=20) as browser:
        browser.sendall(f"GET /api/v1/products HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert browser.recv(4096).startswith(f"HTTP/1.1 {status}".encode())


def test_a_repository_is_read_from_its_address(vendor: Vendor, server: WebServer) -> None:
    improved(vendor)
    advisories = Advisories(server.url)
    assert advisories.products() is None
    advisories.read()
    key = BaselineKey(PRODUCT, NAME.platform, NAME.version, NAME.build)
    assert advisories.products() == frozenset({PRODUCT})
    assert advisories.fixes(PRODUCT)[key] == {
        "a": {"CVE-2023-4863"}, "b": {"CVE-2023-4863", "CVE-2023-5129"}
    }  # fmt: skip


def test_a_letter_that_was_withdrawn_still_says_what_it_fixed(vendor: Vendor) -> None:
    improved(vendor)
    vendor.withdraw("b")
    advisories = Advisories(str(vendor.public))
    advisories.read()
    assert set(next(iter(advisories.fixes(PRODUCT).values()))) == {"a", "b"}


def test_an_id_that_a_later_letter_corrects_is_one_fix_with_the_right_one(vendor: Vendor) -> None:
    improved(vendor)
    vendor.withdraw("b")
    fixed = {"engine": vendor.source({**FIXED, "c": "c"})}
    corrections = Corrections(renamed={"CVE-2023-5129": "CVE-2023-4863"})
    vendor.improve_from(fixed, advisory("CVE-2024-1000"), corrections=corrections)
    vendor.publish()
    advisories = Advisories(str(vendor.public))
    advisories.read()
    assert next(iter(advisories.fixes(PRODUCT).values())) == {
        "a": {"CVE-2023-4863"}, "b": {"CVE-2023-4863"}, "c": {"CVE-2023-4863", "CVE-2024-1000"}
    }  # fmt: skip


def test_a_repository_that_was_changed_is_not_believed(vendor: Vendor) -> None:
    improved(vendor)
    advisories = Advisories(str(vendor.public))
    for file in vendor.public.rglob("*.catalog.json"):
        file.write_bytes(file.read_bytes().replace(b"offered", b"OFFERED"))
    for file in (vendor.public / "targets").rglob("*catalog.json"):
        file.write_bytes(file.read_bytes().replace(b"offered", b"paused!"))
    with pytest.raises(AdvisoriesError, match="Check --repository"):
        advisories.read()
    assert advisories.products() is None


@pytest.mark.parametrize("where", ["/nowhere", "http://127.0.0.1:1"])
def test_a_repository_that_is_not_there_is_named(where: str) -> None:
    with pytest.raises(AdvisoriesError, match=where):
        Advisories(where).read()


def test_devices_with_a_letter_that_is_newer_than_what_was_read_are_unknown() -> None:
    new = LetterName(PRODUCT, "linux-x86_64", "26.3.1", "A", "b")
    fixes = {BaselineKey(PRODUCT, "linux-x86_64", "26.3.1", "A"): {"a": frozenset({"CVE-1-1"})}}
    found = exposures([Adoption(0, new, 7, 0)], fixes)
    assert [(one.devices, one.unknown) for one in found] == [(0, 7)]


def test_devices_with_a_baseline_of_which_nobody_speaks_are_unknown() -> None:
    old = LetterName(PRODUCT, "linux-x86_64", "26.3.1", "A", "a")
    new = LetterName(PRODUCT, "linux-x86_64", "27.0", "B", "")
    fixes = {BaselineKey(PRODUCT, "linux-x86_64", "26.3.1", "A"): {"a": frozenset({"CVE-1-1"})}}
    found = exposures([Adoption(0, old, 5, 1), Adoption(0, new, 7, 0)], fixes)
    assert [(one.devices, one.unknown) for one in found] == [(1, 7)]


@pytest.mark.skipif(programs() is None, reason="PostgreSQL is not installed (`make services`)")
def test_the_metrics_say_at_once_that_the_database_is_away() -> None:
    server = PostgreSQLServer()
    collector = CollectorProcess(server.new_database(), "--admin", "127.0.0.1:0")
    try:
        assert collector.send([count()]).status == 202
        for _ in range(2):  # also while the figures of a moment ago are known
            answer = collector.get("/metrics")
            assert answer.status == 200
            assert "repoint_database_up 1.0" in answer.body.decode()
        server.stop()
        answer = collector.get("/metrics")
        assert answer.status == 503
        text = answer.body.decode()
        assert "repoint_database_up 0.0" in text
        assert 'repoint_reports_total{kind="count"} 1.0' in text
        assert "repoint_devices{" not in text
        server.start()
        assert collector.get("/metrics").status == 200
    finally:
        assert collector.stop() == 0
        server.close()
