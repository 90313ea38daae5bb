"""Restart for every scope: programs, services, the session, the machine."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

from repoint.agent.overview.descriptions import format_time
from repoint.agent.restart import AnnouncedRestart, restart
from repoint.agent.update_run import Agent
from repoint.device.activate import restart as programs
from repoint.device.activate.restart import Restarted
from repoint.device.errors import StillRunningError
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.systemd import logind
from repoint.host.systemd.services import Unit
from repoint.model.baseline import RestartScope
from tests.agent.buses import Bus, needs_bus
from tests.cli.command import works
from tests.places import MAPS_A_LIBRARY, Place, reason_of, wait_for
from tests.played_host import PlayedMachine
from tests.world import OLD, PLATFORM, Vendor

STUBBORN = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + MAPS_A_LIBRARY


def staged(place: Place, vendor: Vendor, scope: RestartScope, *program: str) -> None:
    from tests.agent.test_update_run import _newer

    vendor.baseline({"engine": OLD}, name=_newer(), restart=scope)
    place.device.enroll(
        vendor.product, place.server.url, vendor.root,
        {"engine": GraftRequest(place.graft, program)}, BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release(name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)


@pytest.mark.slow
def test_a_program_is_closed_and_started_again(
    place: Place, vendor: Vendor, tmp_path: Path
) -> None:
    note = tmp_path / "note"
    staged(place, vendor, "app", sys.executable, "-c", f"open({str(note)!r}, 'w').write('again')")
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    done = restart(place.device, None)
    assert isinstance(done, Restarted)
    assert [use.pid for use in done.closed] == [pid]
    wait_for(note.exists)
    assert place.text() == "VERSION = 'new'\n"


@pytest.mark.slow
def test_a_program_that_does_not_close_is_the_persons_to_close_and_others_start_again(
    place: Place, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(programs.restart, "__kwdefaults__", {"close_timeout": 0.5})
    note = tmp_path / "note"
    staged(place, vendor, "app", sys.executable, "-c", f"open({str(note)!r}, 'w').write('again')")
    place.run(STUBBORN, launched=False)
    with pytest.raises(StillRunningError, match="did not close") as refused:
        restart(place.device, None)
    assert "Close it yourself" in refused.value.hint
    assert place.text() == "VERSION = 'old'\n"
    assert place.programs[0].poll() is None, "it is never killed"
    assert not note.exists(), "it still runs"


@pytest.mark.slow
def test_a_service_is_stopped_before_the_switch_and_started_after_it(
    place: Place, vendor: Vendor
) -> None:
    staged(place, vendor, "service")
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    machine = PlayedMachine(units={pid: Unit("kiosk.service")}, stops=place.stop)
    machine.observe = lambda: place.text().strip()
    place.host = machine.host
    done = restart(place.device, None)
    assert isinstance(done, Restarted)
    assert done.started == ("kiosk.service",)
    assert machine.log == [
        "--no-ask-password stop -- kiosk.service: VERSION = 'old'",
        "--no-ask-password start -- kiosk.service: VERSION = 'new'",
    ]


def test_a_service_that_does_not_stop_is_reported_and_nothing_is_switched(
    place: Place, vendor: Vendor
) -> None:
    staged(place, vendor, "service")
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    kiosk = Unit("kiosk.service", 1000)
    place.host = PlayedMachine(units={pid: kiosk}, refusals={"stop": "Access denied"}).host
    with pytest.raises(StillRunningError, match=r"kiosk\.service could not be stopped: Access"):
        restart(place.device, None)
    assert place.text() == "VERSION = 'old'\n"


@needs_bus
def test_the_machine_restarts_after_a_countdown_of_logind_that_can_be_stopped(
    place: Place, vendor: Vendor, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    bus.play_logind()
    staged(place, vendor, "system")
    before = int(time.time())
    done = restart(place.device, None, countdown=90)
    assert isinstance(done, AnnouncedRestart)
    assert done.scope == "system"
    assert before + 90 <= done.when <= time.time() + 90
    assert place.device.host.logind.cancel_restart()
    assert bus.calls == [
        ("ListInhibitors", []),
        ("SetWallMessage",
         ["Repoint restarts this machine to bring 26.4.0 (a) into force", True]),
        ("ScheduleShutdown", ["reboot", done.when * 1_000_000]),
        ("CancelScheduledShutdown", []),
    ]  # fmt: skip
    assert place.text() == "VERSION = 'old'\n", "it comes into force with the start"
    place.device.activate(None)  # as repoint-start.service does
    assert place.text() == "VERSION = 'new'\n"


@needs_bus
def test_status_says_when_the_machine_restarts(
    place: Place, vendor: Vendor, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    when = int(time.time()) + 300
    bus.play_logind(scheduled=when * 1_000_000)
    staged(place, vendor, "system")
    assert place.device.host.logind.scheduled_restart() == when
    output = works("status", "--store", place.folder / "store",
                 env={"DBUS_SYSTEM_BUS_ADDRESS": bus.address})  # fmt: skip
    assert "has to restart: this machine\n" in output
    assert f"it restarts at {format_time(when)}; `repoint restart --cancel` stops that" in output


@needs_bus
def test_a_program_that_must_not_be_interrupted_holds_the_machine_up(
    place: Place, vendor: Vendor, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    bus.play_logind([
        ["sleep:shutdown", "Burner", "writing a disc", "block", 1000, 4],
        ["shutdown", "Saver", "saving", "delay", 1000, 5],
        ["sleep", "Film", "playing", "block", 1000, 6],
    ])  # fmt: skip
    staged(place, vendor, "system")
    with pytest.raises(logind.CannotRestartError, match=r"now: Burner \(writing a disc\)\."):
        restart(place.device, None)
    assert [member for member, _ in bus.calls] == ["ListInhibitors"]


@pytest.mark.slow
def test_without_logind_a_person_restarts_the_machine(
    place: Place, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", f"unix:path={tmp_path / 'none'}")
    staged(place, vendor, "system")
    with pytest.raises(logind.CannotRestartError, match="Do it yourself"):
        restart(place.device, None)
    assert place.device.host.logind.scheduled_restart() is None


@pytest.mark.slow
@needs_bus
def test_the_sessions_of_the_programs_end_after_a_countdown_that_can_be_stopped(
    place: Place, vendor: Vendor, bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    monkeypatch.setattr("repoint.agent.restart.time.sleep", lambda seconds: None)
    bus.play_logind()
    staged(place, vendor, "session")
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    heard: list[int] = []

    def stop_at_three(left: int) -> bool:
        heard.append(left)
        return left > 3

    with pytest.raises(logind.CannotRestartError, match="stopped"):
        restart(place.device, None, countdown=5, on_second=stop_at_three)
    assert heard == [5, 4, 3]
    assert bus.calls == []
    done = restart(place.device, None, countdown=2)
    assert isinstance(done, AnnouncedRestart)
    assert bus.calls == [("GetSessionByPID", [pid]), ("Terminate", [])]


@pytest.mark.slow
@needs_bus
@pytest.mark.parametrize("scope", ["system", "session"])
def test_in_the_window_the_machine_is_restarted_once_and_not_scheduled_again(
    scope: RestartScope,
    place: Place,
    vendor: Vendor,
    bus: Bus,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import random

    from repoint.device.device import Device
    from repoint.host.conditions import Conditions

    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", bus.address)
    staged(place, vendor, scope)
    (tmp_path / "policy.d").mkdir()
    (tmp_path / "policy.d/10.toml").write_text('window = "00:00-24:00"\n')
    now = time.time()
    device = Device(place.folder / "store", policy=tmp_path / "policy.d", clock=lambda: now)
    agent = Agent(device, lambda: now, random.Random(1), lambda store: Conditions())
    bus.play_logind()
    (made,) = agent.run()
    assert made.announced is None, "people are notified first"
    now += 3600
    (made,) = agent.run()
    assert made.announced is not None
    assert made.announced.scope == "system"
    assert [member for member, _ in bus.calls].count("ScheduleShutdown") == 1


def test_without_anything_staged_nothing_restarts(place: Place) -> None:
    place.enroll()
    assert reason_of(restart(place.device, None)) == "nothing to restart"
