"""``repoint report``, and the commands with which an owner consents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.device.report.spool_file import SpoolFile
from tests.cli.command import environment
from tests.places import Place
from tests.taker import Taker, status
from tests.world import PLATFORM, Vendor


@pytest.fixture
def enrolled(place: Place) -> Place:
    place.enroll()
    return place


def run(place: Place, *arguments: str, policy: Path | None = None) -> tuple[int, str, str]:
    """Run a command; return its exit status and what it printed."""
    own = {"REPOINT_STORE": str(place.folder / "store"), "REPOINT_POLICY": str(policy or "/none")}
    done = subprocess.run(
        [sys.executable, "-m", "repoint", *arguments], capture_output=True, text=True,
        env={**environment(), **own}, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout, done.stderr


def test_off_is_what_it_says_without_consent(enrolled: Place) -> None:
    code, out, _ = run(enrolled, "report")
    assert code == 0
    assert "Share Reports: off" in out
    code, _, problem = run(enrolled, "report", "--send")
    assert code == 1
    assert "repoint settings reports on" in problem


@pytest.mark.slow
def test_an_owner_turns_it_on_looks_sends_and_turns_it_off(
    enrolled: Place, vendor: Vendor, taker: Taker
) -> None:
    assert run(enrolled, "settings", "reports", taker.url)[0] == 0
    vendor.release()
    enrolled.update()
    _, shown, _ = run(enrolled, "report", "--show", "--json")
    assert run(enrolled, "report", "--send")[0] == 0
    (taken,) = taker.requests
    events = json.loads(shown.splitlines()[0])
    _, out, _ = run(enrolled, "report", "--json")
    reporting = json.loads(out)
    assert (reporting["answer"], reporting["waiting"]) == ("taken", [])
    assert [r["kind"] for r in taken.json] == ["staged", "confirmed"]
    assert [r["nonce"] for r in taken.json] == [r["nonce"] for r in events]
    code, out, problem = run(enrolled, "settings", "reports", "off")
    assert (code, problem) == (0, "")
    assert "Share Reports: off" in out
    assert taker.requests[-1].method == "DELETE"
    assert run(enrolled, "settings", "reports", "on")[0] == 0  # the address is remembered
    assert enrolled.device.reports.reporting(None).address == taker.url


@pytest.mark.slow
def test_what_is_shown_are_the_bytes_that_are_sent(enrolled: Place, taker: Taker) -> None:
    from repoint.device.errors import NotTrustedError

    reports = enrolled.device.reports
    reports.turn_on(None, taker.url)
    reports.note_failure("acme-kiosk", "a", NotTrustedError("no"))
    _, out, _ = run(enrolled, "report", "--show", "--json")
    events, count = out.splitlines()
    assert run(enrolled, "report", "--send")[0] == 0
    (taken,) = taker.requests
    # The age grows while the command starts.
    sent, shown = taken.json[0], json.loads(events)[0]
    assert {**sent, "age": 0} == {**shown, "age": 0}
    assert list(sent) == list(shown) or "age" not in shown
    assert json.loads(count)[0]["nonce"] == SpoolFile(enrolled.product).read().nonce


def test_a_server_that_takes_nothing_is_an_error_only_for_who_asks(
    enrolled: Place, taker: Taker
) -> None:
    from repoint.device.errors import NotTrustedError

    taker.answer = status(503)
    enrolled.device.reports.turn_on(None, taker.url)
    enrolled.device.reports.note_failure("acme-kiosk", "a", NotTrustedError("no"))
    code, _, problem = run(enrolled, "report", "--send")
    assert code == 1
    assert "status 503" in problem
    code, _, problem = run(enrolled, "settings", "reports", "off")
    assert code == 0
    assert "could not be asked to delete" in problem


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("value", "code", "says"),
    [
        ("perhaps", 2, "or the address of a fleet"),
        ("http://fleet.example.org", 1, "not encrypted"),
        ("https://me:secret@fleet.example.org", 1, "user name"),
        ("on", 1, "not known where"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused(
    enrolled: Place, value: str, code: int, says: str
) -> None:
    found, _, problem = run(enrolled, "settings", "reports", value)
    assert found == code
    assert says in problem
    assert "secret" not in problem


@pytest.mark.slow
def test_an_enrolment_may_consent_and_join_a_managed_fleet(
    place: Place, vendor: Vendor, taker: Taker
) -> None:
    root = vendor.public / "metadata/1.root.json"
    words = ["enroll", place.server.url, "--product", "acme-kiosk", "--root", str(root),
             "--graft", f"engine={place.graft}", "--platform", PLATFORM]  # fmt: skip
    code, _, problem = run(place, *words, "--reports", "http://fleet.example.org")
    assert code == 1
    assert "not encrypted" in problem
    assert not (place.folder / "store").exists()
    code, out, _ = run(place, *words, "--reports", taker.url, "--fleet-token", "t0ken")
    assert code == 0
    assert taker.url in out
    assert run(place, "agent", "run-once")[0] == 0
    (count,) = taker.reports
    assert count["kind"] == "count"
    assert len(count["device"]) == 32
    stored = b"".join(
        Path(folder, name).read_bytes()
        for folder, _, names in os.walk(place.folder / "store")
        for name in names
    )
    assert b"t0ken" not in stored


@pytest.mark.slow
def test_the_policy_decides_and_is_named(enrolled: Place, taker: Taker, tmp_path: Path) -> None:
    folder = tmp_path / "policy.d"
    folder.mkdir()
    (folder / "10-site.toml").write_text(f'reports = "{taker.url}"\n')
    _, out, _ = run(enrolled, "report", policy=folder)
    assert "locked by" in out
    code, _, problem = run(enrolled, "settings", "reports", "off", policy=folder)
    assert code == 1
    assert "10-site.toml" in problem
    (folder / "10-site.toml").write_text("reports = true\n")
    code, _, problem = run(enrolled, "policy", str(folder))
    assert code == 1
    assert "address" in problem
