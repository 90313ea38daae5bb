"""Journal events, desktop notifications and the message of the day: each once, and as planned."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.agent.agent_state import AgentState, write_agent_state
from repoint.agent.journal_events import NEWS, report_run
from repoint.agent.notifications import (
    message_of_the_day,
    notification_for,
    notification_record,
    notify_desktop,
)
from repoint.agent.overview.overview import Observation, Overview, read_overview
from repoint.agent.update_run import Agent, UpdateRun
from repoint.device.store.records import UserSettings
from repoint.host.conditions import Conditions
from repoint.host.systemd import journal
from repoint.model.advisory import Advisory, Fix
from tests.agent.buses import Bus, needs_bus
from tests.hostile_texts import HOSTILE
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import FIXED, Vendor


class Journal:
    """Takes entries as journald does, and reads them by the same rules."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.setblocking(False)

    def entries(self) -> list[list[tuple[str, str]]]:
        found: list[list[tuple[str, str]]] = []
        while True:
            try:
                datagram = self.socket.recv(1 << 20)
            except BlockingIOError:
                return found
            lines = datagram.decode().splitlines()
            found.append([(n, v) for n, _, v in (line.partition("=") for line in lines)])


@pytest.fixture
def journald(tmp_path: Path) -> Iterator[Journal]:
    server = Journal(tmp_path / "journal")
    yield server
    server.socket.close()


@pytest.fixture
def enrolled(place: Place) -> Place:
    place.enroll()
    write_agent_state(place.product, AgentState(last_run=int(time.time())))
    return place


def run_agent(place: Place) -> UpdateRun:
    import random

    agent = Agent(place.device, time.time, random.Random(1), lambda store: Conditions())
    (run,) = agent.run()
    return run


def overview(place: Place) -> Overview:
    return read_overview(place.device, None, Observation(conditions=Conditions()))


@pytest.mark.slow
def test_the_journal_states_the_fixes_the_time_and_what_restarts(
    enrolled: Place, vendor: Vendor, journald: Journal
) -> None:
    enrolled.run(MAPS_A_LIBRARY, launched=False)
    vendor.release(None, "CVE-2026-0001", "CVE-2026-0002")
    report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path)
    (entry,) = journald.entries()
    fields = dict(entry)
    assert fields["REPOINT_EVENT"] == "staged"
    assert fields["MESSAGE_ID"] == journal.MESSAGE_IDS["staged"]
    assert fields["REPOINT_PRODUCT"] == "acme-kiosk"
    assert fields["REPOINT_LABEL"] == "26.3.1 (a)"
    assert [v for n, v in entry if n == "REPOINT_CVE"] == ["CVE-2026-0001", "CVE-2026-0002"]
    assert fields["REPOINT_ACTIVATE_REASON"] == "program"
    assert fields["REPOINT_RESTARTS"].startswith("python")
    assert fields["PRIORITY"] == "5"
    assert "the next time python" in fields["MESSAGE"]

    report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path)
    assert journald.entries() == [], "it was reported before"
    enrolled.stop()
    report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path)
    assert [dict(e)["REPOINT_EVENT"] for e in journald.entries()] == ["activated"]


def test_an_installation_that_is_turned_off_is_reported_once(
    enrolled: Place, vendor: Vendor, journald: Journal
) -> None:
    enrolled.device.preferences.change_settings(None, UserSettings(automatic=False))
    vendor.release()
    (event,) = report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path)
    assert "Not installed automatically: Automatically Install is off." in event.message
    assert not event.is_problem
    news = (enrolled.folder / "store" / NEWS).stat().st_mtime_ns
    assert report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path) == ()
    assert (enrolled.folder / "store" / NEWS).stat().st_mtime_ns == news, "nobody is woken"
    assert [dict(e)["REPOINT_EVENT"] for e in journald.entries()] == ["available"]


def test_errors_and_a_broken_policy_are_warnings_each_time(
    enrolled: Place, journald: Journal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.d/10.toml").write_text("removal = perhaps")
    monkeypatch.setenv("REPOINT_POLICY", str(tmp_path / "policy.d"))
    enrolled.server.alter = lambda path, data: b"junk"
    for _ in range(2):
        events = report_run(run_agent(enrolled), enrolled.folder / "store", to=journald.path)
        assert [event.is_problem for event in events] == [True, True]
    reported = [(dict(e)["REPOINT_EVENT"], dict(e)["PRIORITY"]) for e in journald.entries()]
    assert reported == [("failed", "4"), ("policy", "4")] * 2


def test_nothing_from_a_repository_becomes_a_field_of_its_own(journald: Journal) -> None:
    hostile = "a\nPRIORITY=0\nMESSAGE_ID=x\x00\x1b[31m"
    assert journal.Journal(journald.path).log("staged", hostile, 5, [("LABEL", hostile)])
    (entry,) = journald.entries()
    names = [name for name, _ in entry]
    assert names == ["MESSAGE", "MESSAGE_ID", "PRIORITY", "SYSLOG_IDENTIFIER", "REPOINT_EVENT",
                     "REPOINT_LABEL"]  # fmt: skip
    assert dict(entry)["PRIORITY"] == "5"


@pytest.mark.parametrize("name", HOSTILE)
def test_the_journal_holds_escape_sequences_for_what_acts_on_a_terminal(
    journald: Journal, name: str
) -> None:
    text, escaped = HOSTILE[name]
    assert journal.Journal(journald.path).log("failed", text, 4, [("REASON", text)])
    (entry,) = journald.entries()
    assert dict(entry)["MESSAGE"] == dict(entry)["REPOINT_REASON"] == escaped


def test_without_a_journal_only_the_entry_is_lost(tmp_path: Path) -> None:
    assert not journal.Journal(tmp_path / "none").log("staged", "x", 5, [])


def shown(bus: Bus) -> list[list[object]]:
    return [body for member, body in bus.calls if member == "Notify"]


@pytest.mark.slow
@needs_bus
def test_a_desktop_shows_each_state_once(
    enrolled: Place, vendor: Vendor, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    bus.play_desktop()
    record = tmp_path / "state/record.json"
    assert not notify_desktop(overview(enrolled), record)
    pid = enrolled.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    enrolled.device.check(None)
    for _ in range(3):
        notify_desktop(overview(enrolled), record)
    enrolled.device.install(None, user_initiated=True)
    for _ in range(3):
        notify_desktop(overview(enrolled), record)
    enrolled.stop()
    enrolled.device.activate(None)
    for _ in range(3):
        notify_desktop(overview(enrolled), record)
    notes = shown(bus)
    assert [note[3] for note in notes] == [
        "A security improvement for acme-kiosk is available: 26.3.1 (a)",
        "A security improvement for acme-kiosk is waiting for a restart: 26.3.1 (a)",
        "acme-kiosk is protected: 26.3.1 (a) is in force",
    ]
    assert [note[1] for note in notes] == [0, 7, 7], "one rerecords the other"
    body = str(notes[0][4])
    assert "Fixes: Opening a picture may run an attacker's code (CVE-2023-4863)." in body
    assert "Installs automatically" in body
    assert f"({pid})" in body


@pytest.mark.slow
@needs_bus
def test_text_from_a_repository_is_not_markup(
    enrolled: Place, vendor: Vendor, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
    bus.play_desktop()
    evil = '<img src="file:///etc/passwd"/><a href="https://evil.example">fix</a> & more'
    fix = Fix(cves=("CVE-2023-4863",), component="engine", impact=evil, description=evil)
    vendor.improve_from({"engine": vendor.source(FIXED)}, Advisory(title=evil, fixes=(fix,)))
    vendor.publish()
    enrolled.device.check(None)
    assert notify_desktop(overview(enrolled), tmp_path / "record.json")
    assert "<" not in str(shown(bus)[0][4])


def test_without_a_desktop_nothing_is_shown_and_nothing_is_recorded(
    enrolled: Place, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    vendor.release()
    enrolled.device.check(None)
    assert not notify_desktop(overview(enrolled), tmp_path / "record.json")
    assert not (tmp_path / "record.json").exists()


def test_each_store_and_product_has_its_own_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    records = {
        notification_record(Path(store), name) for store in ("/a", "/b") for name in ("x", "y")
    }
    assert len(records) == 4
    assert all(record.parent == tmp_path / "repoint" for record in records)


@pytest.mark.slow
def test_the_message_of_the_day_says_what_is_not_known(enrolled: Place, vendor: Vendor) -> None:
    assert message_of_the_day(overview(enrolled)) == [
        "acme-kiosk: Unknown: the repository was never checked. Run `repoint check`."
    ]
    vendor.release()
    enrolled.update()
    late = read_overview(enrolled.device, None, Observation(now=int(time.time()) + 400 * 86_400))
    assert message_of_the_day(late)[0].startswith("acme-kiosk: Not known: the last successful")


def test_an_offer_claims_only_what_it_fixes_itself(enrolled: Place, vendor: Vendor) -> None:
    vendor.release(None, "CVE-2026-0001")
    vendor.withdraw("a")
    vendor.improve(None, "CVE-2026-0002", drop=("CVE-2026-0001",))
    vendor.publish()
    enrolled.device.check(None)
    found = overview(enrolled)
    assert {cve.cve for cve in found.status.cves} == {"CVE-2026-0001", "CVE-2026-0002"}
    notification = notification_for(found)
    assert notification is not None
    assert [line for line in notification.lines if line.startswith("Fixes")] == [
        "Fixes: Opening a picture may run an attacker's code (CVE-2026-0002)."
    ]


@pytest.mark.slow
def test_the_message_of_the_day_lasts_until_everything_is_in_force(
    enrolled: Place, vendor: Vendor
) -> None:
    enrolled.device.check(None)
    assert message_of_the_day(overview(enrolled)) == []
    enrolled.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    enrolled.device.check(None)
    lines = message_of_the_day(overview(enrolled))
    assert lines[0] == "A security improvement for acme-kiosk is available: 26.3.1 (a)."
    assert any("Has to restart: python" in line for line in lines)
    enrolled.device.install(None, user_initiated=True)
    assert "is waiting for a restart" in message_of_the_day(overview(enrolled))[0]
    enrolled.stop()
    enrolled.device.activate(None)
    assert message_of_the_day(overview(enrolled)) == []
    notification = notification_for(overview(enrolled))
    assert notification is not None
    assert notification.state == "in force"
