"""Letters on trial: services have to run with them, on a machine whose systemd is played.

The machine logs each systemctl command together with what programs find at the graft point.
"""

from __future__ import annotations

import random
import socket
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pytest

from repoint.agent import startup
from repoint.agent.journal_events import report_run
from repoint.agent.notifications import notification_for
from repoint.agent.units.start import CannotHandOverError
from repoint.agent.update_run import Agent
from repoint.device.activate import confirmation, trial
from repoint.device.activate.restart import Restarted
from repoint.device.errors import HealthCheckError
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.conditions import Conditions
from repoint.host.systemd.services import Unit
from tests.agent.test_update_run import _newer
from tests.device.conftest import MAPS_A_LIBRARY, Place
from tests.places import reason_of
from tests.played_host import FAILED, HANGS, INACTIVE, STEADY, PlayedMachine
from tests.world import OLD, PLATFORM, Vendor

CHECK = ("{python}", "-c", "import sys; sys.exit('bad' in open('{tree}/main.py').read())")
ACME = Unit("acme.service")


@dataclass
class Played:
    """A device whose systemd is played."""

    machine: PlayedMachine
    place: Place


@pytest.fixture
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(tmp_path_factory.mktemp("vendor"))


@pytest.fixture
def played(place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr("repoint.device.activate.boot.WATCH_INTERVAL", 0.01)
    machine = PlayedMachine("starting", observe=lambda: place.text().strip(), stops=place.stop)
    place.host = machine.host
    vendor.baseline({"engine": OLD}, name=_newer(), restart="service", health=CHECK)
    place.device.enroll(
        vendor.product, place.server.url, vendor.root,
        {"engine": GraftRequest(place.graft, ("systemctl", "restart", "acme"))},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release(name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    return Played(machine, place)


def state(place: Place) -> tuple[str, str, bool]:
    status = place.device.status(None)
    return status.in_force, status.staged, status.on_trial


def events(place: Place) -> list[str]:
    return [entry.event for entry in place.device.history(None)]


def boot(played: Played) -> list[str]:
    """What the machine's unit does; the errors that it tells."""
    watched: list[Path] = []
    done = startup.merge_at_start(played.place.device, watch=watched.append, to=Path("/nowhere"))
    assert bool(watched) == played.place.device.status(None).on_trial
    return [str(error) for _, error in done if error is not None]


@pytest.mark.slow
def test_at_a_start_a_letter_is_confirmed_when_its_service_runs(played: Played) -> None:
    place = played.place
    played.machine.service = HANGS
    assert boot(played) == []
    assert state(place) == ("26.4.0 (a)", "", True)
    assert events(place)[-1] == "activated"
    place.device.check(None)  # no other command decides either
    assert state(place) == ("26.4.0 (a)", "", True)
    played.machine.service = STEADY
    assert place.device.boot.watch() == {place.product.name: None}
    assert state(place) == ("26.4.0 (a)", "", False)
    assert events(place)[-1] == "confirmed"
    assert place.product.trials.current() is None
    assert played.machine.log == [], "nothing was restarted"


@pytest.mark.slow
def test_at_a_start_a_letter_whose_service_hangs_is_rolled_back(
    played: Played, vendor: Vendor
) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    played.machine.service = FAILED
    ((_, failure),) = place.device.boot.watch().items()
    assert str(failure).startswith(
        "26.4.0 (a) failed (acme.service does not run any more (timeout)); 26.4.0 is active again"
    )
    assert state(place) == ("26.4.0", "", False)
    assert events(place)[-2:] == ["activated", "failed"]
    commands = [line.removeprefix("--no-ask-password ") for line in played.machine.log]
    assert commands == [
        "stop -- acme.service: VERSION = 'new'",
        "reset-failed -- acme.service: VERSION = 'old'",
        "--no-block start -- acme.service: VERSION = 'old'",
        "--no-block start default.target: VERSION = 'old'",
    ]
    status = place.device.status(None)
    assert status.available is not None
    assert status.available.held_back == "failed here: acme.service does not run any more (timeout)"
    assert reason_of(place.device.install(None, user_initiated=True)) == "failed here"
    played.machine.service = STEADY
    vendor.release({"engine": {**OLD, "main.py": "VERSION = 'newest'\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.machine.reboot()
    assert boot(played) == []
    assert state(place) == ("26.4.0 (b)", "", False)


@pytest.mark.slow
def test_the_health_check_is_run_when_the_service_runs(played: Played, vendor: Vendor) -> None:
    place = played.place
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.machine.service = HANGS
    assert boot(played) == []
    assert state(place) == ("26.4.0 (b)", "", True)
    played.machine.service = STEADY
    ((_, failure),) = place.device.boot.watch().items()
    assert "engine: the health check ended with status 1" in str(failure)
    assert state(place) == ("26.4.0", "", False)
    assert any("start -- acme.service: VERSION = 'old'" in line for line in played.machine.log)


@pytest.mark.slow
def test_after_three_undecided_starts_a_letter_is_rolled_back_before_it_is_merged(
    played: Played,
) -> None:
    place = played.place
    played.machine.service = HANGS
    for _ in range(trial.TRIES):
        assert boot(played) == []
        assert state(place) == ("26.4.0 (a)", "", True)
        boot(played)  # a second unit of the same start
        played.machine.reboot()
    (output,) = boot(played)
    assert "3 starts of the machine did not come far enough to confirm it" in output
    assert state(place) == ("26.4.0", "", False)
    assert played.machine.log == [], "in this start nothing runs from it"
    assert events(place)[-1] == "failed"
    assert place.text() == "VERSION = 'old'\n"
    played.machine.reboot()
    assert boot(played) == []
    assert events(place).count("failed") == 1


@pytest.mark.slow
def test_a_letter_out_of_tries_is_not_merged_by_the_second_unit_of_a_start(
    played: Played,
) -> None:
    """The first was cut off when it had counted the start, and had not marked the letter yet."""
    place = played.place
    played.machine.service = HANGS
    boot(played)
    found = place.product.trials.current()
    assert found is not None
    place.product.trials.set(msgspec.structs.replace(found, tries=trial.TRIES + 1))
    (output,) = boot(played)
    assert "3 starts of the machine" in output
    assert state(place) == ("26.4.0", "", False)


@pytest.mark.slow
def test_a_good_letter_survives_a_power_cut_during_its_trial(played: Played) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    played.machine.reboot()
    boot(played)
    played.machine.service = STEADY
    assert place.device.boot.watch() == {place.product.name: None}
    assert state(place) == ("26.4.0 (a)", "", False)


@pytest.mark.slow
def test_an_interrupted_rollback_is_completed_with_its_services(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    played.machine.service = FAILED

    def cut_off(*_: object) -> None:
        raise KeyError

    with monkeypatch.context() as cut:
        cut.setattr(confirmation, "return_to_previous", cut_off)
        cut.setattr(played.machine.host.systemd, "restart_failed", lambda unit: None)
        with pytest.raises(KeyError):
            place.device.boot.watch()
    played.machine.log.clear()
    place.device.check(None)
    assert place.text() == "VERSION = 'old'\n"
    assert any("start -- acme.service: VERSION = 'old'" in line for line in played.machine.log)
    assert events(place).count("failed") == 1
    assert place.product.trials.current() is None


@pytest.mark.slow
def test_a_rollback_does_not_start_an_inactive_service(played: Played, vendor: Vendor) -> None:
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}}, name=_newer())
    played.place.device.check(None)
    played.place.device.install(None, user_initiated=True)
    played.machine.service = INACTIVE
    (output,) = boot(played)
    assert "the health check ended with status 1" in output
    assert state(played.place) == ("26.4.0", "", False)
    assert played.machine.log == []


def _runs_as_service(played: Played) -> None:
    pid = played.place.run(MAPS_A_LIBRARY, launched=False)
    played.machine.units = {pid: ACME}
    played.machine.state = "running"


@pytest.mark.slow
def test_a_restart_rolls_back_a_letter_whose_service_does_not_run(played: Played) -> None:
    place = played.place
    _runs_as_service(played)
    played.machine.service = FAILED
    with pytest.raises(HealthCheckError, match=r"acme\.service does not run any more"):
        place.device.restart(None)
    assert state(place) == ("26.4.0", "", False)
    starts = [line for line in played.machine.log if "start -- acme" in line]
    assert [line.rpartition(": ")[2] for line in starts] == ["VERSION = 'new'", "VERSION = 'old'"]
    assert not any("default.target" in line for line in played.machine.log)


@pytest.mark.slow
def test_a_restart_ends_when_its_service_runs(played: Played) -> None:
    place = played.place
    _runs_as_service(played)
    done = place.device.restart(None)
    assert isinstance(done, Restarted)
    assert done.started == ("acme.service",)
    assert state(place) == ("26.4.0 (a)", "", False)
    assert events(place)[-1] == "confirmed"


@pytest.mark.slow
def test_the_services_of_a_staged_letter_are_recorded_for_the_start_of_the_machine(
    played: Played, vendor: Vendor
) -> None:
    place = played.place
    kiosk = Unit("kiosk.service")
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    played.machine.units = {pid: kiosk}
    place.device.check(None)
    place.stop()
    played.machine.service = HANGS
    boot(played)
    found = place.product.trials.current()
    assert found is not None
    assert found.services == (ACME, kiosk)
    assert (found.tries, found.whole, found.starting) == (1, False, True)


@pytest.mark.slow
def test_a_rollback_never_returns_to_a_letter_on_trial(played: Played, vendor: Vendor) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    vendor.release({"engine": {**OLD, "main.py": "VERSION = 'newest'\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.machine.reboot()
    boot(played)
    assert state(place) == ("26.4.0 (b)", "", True)
    played.machine.service = FAILED
    place.device.boot.watch()
    assert state(place) == ("26.4.0", "", False)


@pytest.mark.slow
def test_a_removal_ends_a_trial(played: Played) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    place.device.remove(None, why="it hangs")
    assert state(place) == ("26.4.0", "", False)
    assert place.device.boot.watch() == {}
    assert place.product.trials.current() is None


def test_a_rollback_is_reported_in_the_journal_and_as_a_notification(
    played: Played, tmp_path: Path
) -> None:
    place = played.place
    played.machine.service = HANGS
    boot(played)
    played.machine.service = FAILED
    agent = Agent(place.device, time.time, random.Random(1), lambda store: Conditions())
    (made,) = agent.watch_trials()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(tmp_path / "journal"))
        (event, *_) = report_run(made, place.folder / "store", to=tmp_path / "journal")
        entry = journald.recv(1 << 16).decode()
    assert event.message.startswith(
        "26.4.0 (a) failed (acme.service does not run any more (timeout))"
    )
    assert "REPOINT_EVENT=failed" in entry
    assert made.overview is not None
    notice = notification_for(made.overview)
    assert notice is not None
    assert notice.title == "A security improvement for acme-kiosk was rolled back: 26.4.0 (a)"
    assert "Not installed automatically: it failed here." in notice.lines


def test_a_watch_that_cannot_start_is_reported(played: Played) -> None:
    played.machine.service = HANGS

    def refuses(store: Path) -> None:
        raise CannotHandOverError("no", hint="later")

    done = startup.merge_at_start(played.place.device, watch=refuses, to=Path("/nowhere"))
    assert [str(error) for _, error in done if error is not None] == ["no. later"]
    assert state(played.place) == ("26.4.0 (a)", "", True)
