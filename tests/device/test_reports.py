"""Reports of a device over real HTTP: off without consent, exact, bounded, and deleted on request."""

from __future__ import annotations

import itertools
import json
import random
import stat
import time
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from repoint.agent.update_run import Agent, UpdateRun
from repoint.device.device import Device
from repoint.device.errors import NotTrustedError, PolicyForbidsError
from repoint.device.fetch import message
from repoint.device.report.spool import WEEK
from repoint.device.report.spool_file import SpoolFile
from repoint.host.conditions import Conditions
from repoint.model.baseline import BaselineName
from repoint.model.encoding import decode_record
from repoint.model.report import Report
from tests.places import Place
from tests.taker import (
    Answer,
    Handler,
    Taker,
    drip,
    endless_body,
    endless_header,
    endless_refusal,
    garbage,
    hang_up,
    status,
)
from tests.world import PLATFORM, Vendor

HOUR = 3600
NEXT = BaselineName(PLATFORM, "26.3.2", "25D2140")


@dataclass
class Fleet:
    """A device whose update runs report to a server."""

    place: Place
    policy: Path
    server: Taker
    now: float = field(default_factory=time.time)

    @property
    def device(self) -> Device:
        return Device(
            self.place.folder / "store", clock=lambda: self.now, wait=5, policy=self.policy
        )

    @property
    def product(self) -> str:
        return self.place.vendor.product

    @property
    def folder(self) -> Path:
        return self.device.store.product(self.product).path / "reports"

    @property
    def waiting(self) -> list[str]:
        spool = SpoolFile(self.device.store.product(self.product)).read()
        return [waiting.report.kind for waiting in spool.waiting]

    def run(self) -> UpdateRun:
        rng = random.Random(4)
        agent = Agent(self.device, lambda: self.now, rng, lambda store: Conditions())
        (run,) = agent.run()
        return run

    def consent(self, address: str = "") -> None:
        self.device.reports.turn_on(None, address or self.server.url)

    def rules(self, text: str) -> None:
        self.policy.mkdir(exist_ok=True)
        (self.policy / "10-test.toml").write_text(text)


@pytest.fixture
def fleet(tmp_path: Path, place: Place, taker: Taker) -> Fleet:
    place.enroll()
    return Fleet(place, tmp_path / "policy.d", taker)


@pytest.mark.slow
def test_without_consent_there_is_no_file_and_no_request(fleet: Fleet, vendor: Vendor) -> None:
    vendor.release()
    assert fleet.run().installed
    fleet.now += WEEK
    fleet.run()
    assert fleet.server.requests == []
    assert not fleet.folder.exists()


@pytest.mark.slow
def test_the_way_of_a_letter_is_reported_with_one_id(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    vendor.release()
    assert fleet.run().activated
    (taken,) = fleet.server.requests
    assert (taken.method, taken.path, taken.kind) == ("POST", "/v1/reports", "application/json")
    assert fleet.server.kinds() == ["staged", "confirmed"]
    reports = [decode_record(json.dumps(r).encode(), Report, "it") for r in taken.json]
    assert {report.letter for report in reports} == {"a"}
    assert len({report.id for report in reports}) == 1
    assert len({report.nonce for report in reports}) == 2
    assert fleet.waiting == []
    fleet.run()
    assert len(fleet.server.requests) == 1


@pytest.mark.slow
def test_what_was_before_the_consent_is_not_reported(fleet: Fleet, vendor: Vendor) -> None:
    vendor.release()
    fleet.run()
    fleet.consent()
    fleet.run()
    assert fleet.server.requests == []


@pytest.mark.slow
def test_a_letter_that_fails_its_health_check_is_reported_as_such(
    fleet: Fleet, vendor: Vendor
) -> None:
    vendor.baseline(
        {"engine": {"main.py": "VERSION = 'old'\n"}},
        health=("test", "!", "-e", "{tree}/broken"),
        name=NEXT,
    )
    fleet.place.put({"main.py": "VERSION = 'old'\n"})
    fleet.run()
    fleet.consent()
    vendor.release(
        {"engine": {"main.py": "VERSION = 'new'\n", "broken": "yes\n"}},
        name=NEXT,
    )
    fleet.run()
    assert fleet.server.kinds() == ["staged", "failed"]
    assert fleet.server.reports[-1]["failure"] == "health"


@pytest.mark.slow
def test_a_patch_that_is_not_what_was_signed_is_reported_once(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    vendor.release()
    web = fleet.place.server
    web.alter = lambda path, data: data[:-1] + b"?" if path.endswith(".patch") else data
    for _ in range(3):
        run = fleet.run()
        assert any(isinstance(error, NotTrustedError) for error in run.errors), run.errors
        fleet.now += 25 * HOUR
    reported = [r for r in fleet.server.reports if r["kind"] != "count"]
    assert [(r["kind"], r["letter"], r["failure"]) for r in reported] == [
        ("failed", "a", "untrusted")
    ]


@pytest.mark.slow
def test_a_week_later_a_count_says_what_is_in_force(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    vendor.release()
    fleet.run()
    fleet.now += WEEK
    fleet.run()
    (count,) = [report for report in fleet.server.reports if report["kind"] == "count"]
    assert count["letter"] == "a"
    assert not {"id", "age", "device"} & set(count)
    fleet.now += 2 * HOUR
    fleet.run()
    assert fleet.server.kinds().count("count") == 1


def test_a_run_that_does_not_see_processes_leaves_the_count_to_one_that_does(
    fleet: Fleet,
) -> None:
    fleet.consent()
    fleet.now += WEEK
    handed: list[str] = []

    def run() -> None:
        agent = Agent(
            fleet.device, lambda: fleet.now, random.Random(4), lambda store: Conditions(),
            hand_over=lambda: handed.append("handed over"),
        )  # fmt: skip
        list(agent.run())

    run()
    assert handed == ["handed over"]
    assert (fleet.waiting, fleet.server.requests) == ([], [])
    list(Agent(fleet.device, lambda: fleet.now, random.Random(4)).activate())
    assert (fleet.waiting, fleet.server.requests) == (["count"], [])
    run()
    assert fleet.server.kinds() == ["count"]
    assert handed == ["handed over"]


@pytest.mark.slow
def test_what_is_shown_is_what_is_sent(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    fleet.server.answer = status(503)
    vendor.release()
    fleet.run()
    fleet.now += WEEK
    device = fleet.device
    shown = device.reports.preview(None, device.status(None))
    assert [report.kind for report in shown] == ["staged", "confirmed", "count"]
    fleet.server.requests.clear()
    fleet.server.answer = status(202)
    device.reports.note(fleet.product, device.status(None))
    assert device.reports.send(fleet.product, now=True)
    assert device.reports.send(fleet.product, now=True)
    sent = fleet.server.reports
    assert [r["nonce"] for r in sent] == [report.nonce for report in shown]
    assert sent[-1] == json.loads(msgspec.json.encode(shown[-1]))


def test_without_consent_it_can_be_seen_what_would_be_sent(fleet: Fleet) -> None:
    device = fleet.device
    (report,) = device.reports.preview(None, device.status(None))
    assert report.kind == "count"
    assert not fleet.folder.exists()


HOSTILE: dict[str, Answer] = {
    "an endless body": endless_body,
    "a refusal without an end": endless_refusal,
    "an endless header": endless_header,
    "a header byte by byte": drip,
    "garbage": garbage,
    "a closed connection": hang_up,
    "a redirect to itself": status(307, Location="/v1/reports"),
    "a redirect to a secret place": status(302, Location="http://169.254.169.254/latest"),
    "a page that wants a login": status(200, b"<html>Please log in</html>"),
    "an error": status(500, b"x" * 100_000),
    "a refusal of something else": status(400, b'{"error": "no", "index": -5}'),
    "a wait for years": status(503, Retry_After="99999999999"),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("case", HOSTILE)
def test_whatever_the_server_does_the_update_ends_as_without_it(
    fleet: Fleet, vendor: Vendor, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    limit = 1.0
    deliver = message.deliver
    monkeypatch.setattr(
        "repoint.device.report.sending.deliver",
        lambda network, sent: deliver(network, sent, limit=limit),
    )
    fleet.consent()
    vendor.release()
    fleet.server.answer = HOSTILE[case]
    started = time.monotonic()
    run = fleet.run()
    took = time.monotonic() - started
    assert (run.activated, run.errors, run.failed) == ("26.3.1 (a)", [], False)
    # An answer that says what was agreed counts, whatever follows it.
    taken = case == "an endless body"
    assert fleet.waiting == ([] if taken else ["staged", "confirmed"])
    assert {r.path for r in fleet.server.requests} == {"/v1/reports"}
    assert len(fleet.server.requests) == 1
    # Nothing more is asked until the delay is over, and then all of it arrives once.
    fleet.run()
    assert len(fleet.server.requests) == 1
    fleet.server.answer = status(202)
    fleet.now += 25 * HOUR
    fleet.run()
    # The weekly count may have fallen due at that very moment.
    assert set(fleet.waiting) <= {"count"}
    assert took < 8


@pytest.mark.slow
def test_a_dead_server_changes_nothing(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent("http://127.0.0.1:9")
    vendor.release()
    run = fleet.run()
    assert (run.activated, run.failed) == ("26.3.1 (a)", False)
    assert fleet.waiting == ["staged", "confirmed"]
    reporting = fleet.device.reports.reporting(None)
    assert "127.0.0.1:9 cannot be reached" in reporting.answer
    assert "server" in reporting.answer


def test_a_server_that_never_answers_costs_a_bounded_time(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.listen()
        fleet.consent(f"http://127.0.0.1:{silent.getsockname()[1]}")
        fleet.device.reports.note_failure(fleet.product, "a", NotTrustedError("no"))
        deliver = message.deliver
        monkeypatch.setattr(
            "repoint.device.report.sending.deliver",
            lambda network, sent: deliver(network, sent, limit=0.5),
        )
        started = time.monotonic()
        assert not fleet.device.reports.send(fleet.product)
        assert time.monotonic() - started < 2
    assert fleet.waiting == ["failed"]


@pytest.mark.slow
def test_a_retry_waits_as_long_as_the_server_asks(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    vendor.release()
    fleet.server.answer = status(429, Retry_After=str(3 * HOUR))
    fleet.run()
    for _ in range(2):
        fleet.now += HOUR
        fleet.run()
    assert len(fleet.server.requests) == 1
    fleet.now += 4 * HOUR
    fleet.server.answer = status(202)
    fleet.run()
    assert [r["kind"] for r in fleet.server.requests[-1].json] == ["staged", "confirmed"]


def test_a_report_that_is_refused_is_dropped_and_the_others_arrive(fleet: Fleet) -> None:
    fleet.consent()
    for letter in ("a", "b", "c"):
        fleet.device.reports.note_failure(fleet.product, letter, NotTrustedError("no"))
    answers = itertools.chain(
        [status(400, b'{"error": "the letter is no letter", "index": 1}')],
        itertools.repeat(status(202)),
    )
    fleet.server.answer = lambda handler: next(answers)(handler)
    assert fleet.device.reports.send(fleet.product)
    assert [r["letter"] for r in fleet.server.requests[-1].json] == ["a", "c"]
    assert fleet.waiting == []


def test_a_request_that_is_too_large_is_sent_in_parts(fleet: Fleet) -> None:
    fleet.consent()
    for letter in "abcdefg":
        fleet.device.reports.note_failure(fleet.product, letter, NotTrustedError("no"))

    def small(handler: Handler) -> None:
        status(413 if len(fleet.server.requests[-1].json) > 2 else 202)(handler)

    fleet.server.answer = small
    fleet.device.reports.send(fleet.product)
    for _ in range(8):
        fleet.device.reports.send(fleet.product, now=True)
    taken = [r["letter"] for t in fleet.server.requests if len(t.json) <= 2 for r in t.json]
    assert sorted(taken) == list("abcdefg")
    assert fleet.waiting == []


@pytest.mark.slow
def test_turning_it_off_deletes_here_at_once_and_there_with_the_next_run(
    fleet: Fleet, vendor: Vendor
) -> None:
    fleet.consent()
    vendor.release()
    fleet.run()
    ids = {report["id"] for report in fleet.server.reports}
    fleet.device.reports.note_failure(fleet.product, "b", NotTrustedError("no"))
    fleet.device.reports.turn_off(None)
    assert fleet.waiting == []
    fleet.server.requests.clear()
    fleet.run()
    (taken,) = fleet.server.requests
    assert (taken.method, taken.path) == ("DELETE", "/v1/reports")
    assert ids < set(taken.json)
    assert [path.name for path in fleet.folder.iterdir()] == ["lock"]
    fleet.now += 2 * WEEK
    fleet.run()
    assert len(fleet.server.requests) == 1


def test_a_deletion_that_is_not_heard_is_asked_for_again_and_not_for_ever(fleet: Fleet) -> None:
    fleet.consent()
    fleet.device.reports.note_failure(fleet.product, "a", NotTrustedError("no"))
    fleet.device.reports.turn_off(None)
    fleet.server.answer = status(503)
    for _ in range(40):
        fleet.device.reports.send(fleet.product)
        fleet.now += 13 * HOUR
    assert {taken.method for taken in fleet.server.requests} == {"DELETE"}
    assert 5 <= len(fleet.server.requests) <= 10
    assert not (fleet.folder / "spool.json").exists()


def test_turning_it_on_again_deletes_first_and_sends_then(fleet: Fleet) -> None:
    fleet.consent()
    fleet.device.reports.note_failure(fleet.product, "a", NotTrustedError("no"))
    fleet.device.reports.turn_off(None)
    fleet.consent()
    fleet.device.reports.note_failure(fleet.product, "b", NotTrustedError("no"))
    fleet.device.reports.send(fleet.product)
    assert [taken.method for taken in fleet.server.requests] == ["DELETE", "POST"]


def test_unenrolling_asks_for_the_deletion_once(fleet: Fleet) -> None:
    fleet.consent()
    fleet.device.reports.note_failure(fleet.product, "a", NotTrustedError("no"))
    assert fleet.device.reports.send(fleet.product)
    unenrolled = fleet.device.unenroll(None)
    assert fleet.server.requests[-1].method == "DELETE"
    assert unenrolled.notes == ()


def test_an_unreachable_fleet_does_not_keep_a_product_enrolled(fleet: Fleet) -> None:
    fleet.consent("http://127.0.0.1:9")
    fleet.device.reports.note_failure(fleet.product, "a", NotTrustedError("no"))
    unenrolled = fleet.device.unenroll(None)
    assert "could not be asked to delete" in unenrolled.notes[0]
    assert fleet.device.store.enrolled() == []


@pytest.mark.slow
def test_everything_about_reports_is_private_to_the_owner(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    fleet.device.reports.join(fleet.product, "token of the fleet")
    vendor.release()
    fleet.run()
    assert stat.S_IMODE(fleet.folder.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in fleet.folder.iterdir()}
    assert modes == {"fleet.json": 0o600, "lock": 0o600, "spool.json": 0o600}
    assert b"token of" not in b"".join(path.read_bytes() for path in fleet.folder.iterdir())


@pytest.mark.slow
def test_a_managed_device_has_one_id_in_all_its_reports(fleet: Fleet, vendor: Vendor) -> None:
    fleet.device.reports.join(fleet.product, "token of the fleet")
    fleet.consent()
    vendor.release()
    fleet.run()
    assert fleet.server.kinds() == ["staged", "confirmed", "count"]
    (device,) = {report["device"] for report in fleet.server.reports}
    assert device not in {report.get("id") for report in fleet.server.reports}
    fleet.device.reports.join(fleet.product, "token of another fleet")
    assert fleet.device.reports.reporting(None).device != device


@pytest.mark.slow
def test_the_policy_turns_reports_on_and_nobody_else_off(fleet: Fleet, vendor: Vendor) -> None:
    fleet.rules(f'reports = "{fleet.server.url}"\n')
    with pytest.raises(PolicyForbidsError, match=r"10-test\.toml"):
        fleet.device.reports.turn_off(None)
    fleet.run()
    vendor.release()
    fleet.run()
    assert fleet.server.kinds() == ["staged", "confirmed"]
    fleet.rules("reports = false\n")
    fleet.run()
    assert fleet.server.requests[-1].method == "DELETE"


def test_the_policy_forbids_reports(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    fleet.rules("reports = false\n")
    vendor.release()
    fleet.run()
    assert fleet.server.requests == []
    with pytest.raises(PolicyForbidsError, match=r"10-test\.toml"):
        fleet.consent()


def test_reports_go_nowhere_where_the_policy_allows_nothing(fleet: Fleet) -> None:
    fleet.rules(f'repositories = ["{fleet.place.server.url}"]\n')
    with pytest.raises(PolicyForbidsError, match="not allowed"):
        fleet.consent()


def test_a_policy_that_cannot_be_read_neither_sends_nor_deletes(
    fleet: Fleet, vendor: Vendor
) -> None:
    fleet.consent()
    vendor.release()
    fleet.server.answer = status(503)
    fleet.run()
    before = (fleet.folder / "spool.json").read_bytes()
    fleet.server.requests.clear()
    fleet.rules("automatic = true\n")
    (fleet.policy / "10-test.toml").chmod(0o666)
    fleet.now += 25 * HOUR
    fleet.run()
    assert fleet.server.requests == []
    assert (fleet.folder / "spool.json").read_bytes() == before


@pytest.mark.slow
def test_a_damaged_spool_begins_anew_and_fails_nothing(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    (fleet.folder / "spool.json").write_bytes(b'{"address": 7')
    vendor.release()
    run = fleet.run()
    assert (run.activated, run.errors) == ("26.3.1 (a)", [])
    vendor.release({"engine": {"main.py": "b\n"}}, "CVE-2023-0002")
    fleet.now += 5 * HOUR
    fleet.run()
    assert fleet.server.reports[-1]["letter"] == "b"


def test_a_spool_that_cannot_be_written_fails_no_update(fleet: Fleet, vendor: Vendor) -> None:
    fleet.consent()
    for file in fleet.folder.iterdir():
        file.unlink()
    fleet.folder.rmdir()
    fleet.folder.write_text("something else is in the way")
    vendor.release()
    run = fleet.run()
    assert (run.activated, run.errors) == ("26.3.1 (a)", [])
    assert fleet.server.requests == []
