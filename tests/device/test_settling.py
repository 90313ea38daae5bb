"""Letters that have to show that services run with them, on a machine whose systemd is played.

`systemctl` is a script: how a service goes is what a file says, and it writes down what it is told
together with what stood at the graft point.
"""

from __future__ import annotations

import os
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
from repoint.device.activate import restart as programs
from repoint.device.errors import HealthCheckError, NothingToDoError
from repoint.device.update.enroll import BaselineFilter, GraftRequest
from repoint.host import systemd
from repoint.host.conditions import Conditions
from repoint.host.systemd import Unit
from tests.agent.test_update_run import _newer
from tests.device.conftest import MAPS_A_LIBRARY, Place
from tests.places import STOPS
from tests.world import OLD, PLATFORM, Vendor

CHECK = ("{python}", "-c", "import sys; sys.exit('bad' in open('{tree}/main.py').read())")
ACME = Unit("acme.service")
SCRIPT = """#!/bin/sh
case "$*" in
*is-system-running*) cat {folder}/machine ;;
*show*) cat {folder}/service ;;
*) echo "$*: $(cat {graft}/main.py)" >> {folder}/log ;;
esac
pid=$(cat {folder}/pid 2>/dev/null)
case "$*" in *"stop -- acme"*) {stops}; true ;; esac
"""
STEADY = "ActiveState=active\nStateChangeTimestampMonotonic=1\nResult=success\n"
HANGS = "ActiveState=activating\nStateChangeTimestampMonotonic=1\nJob=7\n"
FAILED = "ActiveState=failed\nStateChangeTimestampMonotonic=1\nResult=timeout\n"
RESTS = "ActiveState=inactive\nStateChangeTimestampMonotonic=0\nResult=success\n"


@dataclass
class Played:
    """A machine that systemd runs."""

    folder: Path
    place: Place
    boots: int = 0

    def service(self, state: str) -> None:
        (self.folder / "service").write_text(state)

    def machine(self, state: str) -> None:
        (self.folder / "machine").write_text(f"{state}\n")

    def starts_again(self) -> None:
        self.boots += 1
        (self.folder / "boot").write_text(f"boot {self.boots}\n")
        (self.folder / "log").write_text("")

    def log(self) -> list[str]:
        return (self.folder / "log").read_text().splitlines()


@pytest.fixture
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    return Vendor(tmp_path_factory.mktemp("vendor"))


@pytest.fixture
def played(place: Place, vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    folder = tmp_path / "played"
    (folder / "bin").mkdir(parents=True)
    script = folder / "bin/systemctl"
    script.write_text(
        SCRIPT.format(folder=folder, graft=place.graft, stops=STOPS.format(pid="$pid"))
    )
    script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{script.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(systemd, "_BOOTED", folder)
    monkeypatch.setattr(confirmation, "_BOOT", folder / "boot")
    monkeypatch.setattr("repoint.device.device._LOOKS_EVERY", 0.01)
    made = Played(folder, place)
    made.starts_again()
    made.machine("starting")
    made.service(STEADY)
    vendor.baseline({"engine": OLD}, name=_newer(), restart="service", health=CHECK)
    place.device.enroll(
        vendor.product, place.server.url, vendor.root,
        {"engine": GraftRequest(place.graft, ("systemctl", "restart", "acme"))},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release(name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    return made


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


def test_at_a_start_a_letter_is_confirmed_when_its_service_runs(played: Played) -> None:
    place = played.place
    played.service(HANGS)
    assert boot(played) == []
    assert state(place) == ("26.4.0 (a)", "", True)
    assert events(place)[-1] == "activated"
    place.device.check(None)  # no other command decides either
    assert state(place) == ("26.4.0 (a)", "", True)
    played.service(STEADY)
    assert place.device.watch() == {place.product.name: None}
    assert state(place) == ("26.4.0 (a)", "", False)
    assert events(place)[-1] == "confirmed"
    assert place.product.trials.current() is None
    assert played.log() == [], "nothing was restarted"


def test_at_a_start_a_letter_whose_service_hangs_is_taken_back(
    played: Played, vendor: Vendor
) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    played.service(FAILED)
    ((_, failure),) = place.device.watch().items()
    assert str(failure).startswith(
        "26.4.0 (a) failed (acme.service does not run any more (timeout)); 26.4.0 is active again"
    )
    assert state(place) == ("26.4.0", "", False)
    assert events(place)[-2:] == ["activated", "failed"]
    told = [line.removeprefix("--no-ask-password ") for line in played.log()]
    assert told == [
        "stop -- acme.service: VERSION = 'new'",
        "reset-failed -- acme.service: VERSION = 'old'",
        "--no-block start -- acme.service: VERSION = 'old'",
        "--no-block start default.target: VERSION = 'old'",
    ]
    status = place.device.status(None)
    assert status.available is not None
    assert status.available.held_back == "failed here: acme.service does not run any more (timeout)"
    with pytest.raises(NothingToDoError, match="not tried again"):
        place.device.install(None, user_initiated=True)
    played.service(STEADY)
    vendor.release({"engine": {**OLD, "main.py": "VERSION = 'newest'\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.starts_again()
    assert boot(played) == []
    assert state(place) == ("26.4.0 (b)", "", False)


def test_the_health_check_is_run_when_the_service_runs(played: Played, vendor: Vendor) -> None:
    place = played.place
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.service(HANGS)
    assert boot(played) == []
    assert state(place) == ("26.4.0 (b)", "", True)
    played.service(STEADY)
    ((_, failure),) = place.device.watch().items()
    assert "engine: the health check ended with status 1" in str(failure)
    assert state(place) == ("26.4.0", "", False)
    assert any("start -- acme.service: VERSION = 'old'" in line for line in played.log())


def test_three_starts_without_a_decision_take_a_letter_back_before_it_is_used(
    played: Played,
) -> None:
    place = played.place
    played.service(HANGS)
    for _ in range(trial.TRIES):
        assert boot(played) == []
        assert state(place) == ("26.4.0 (a)", "", True)
        boot(played)  # a second unit of the same start
        played.starts_again()
    (said,) = boot(played)
    assert "3 starts of the machine did not come so far that it could be confirmed" in said
    assert state(place) == ("26.4.0", "", False)
    assert played.log() == [], "in this start nothing runs from it"
    assert events(place)[-1] == "failed"
    assert place.text() == "VERSION = 'old'\n"
    played.starts_again()
    assert boot(played) == []
    assert events(place).count("failed") == 1


def test_a_letter_that_had_its_tries_is_not_merged_by_the_second_unit_of_a_start(
    played: Played,
) -> None:
    """The first was cut off when it had counted the start, and had not marked the letter yet."""
    place = played.place
    played.service(HANGS)
    boot(played)
    found = place.product.trials.current()
    assert found is not None
    place.product.trials.set(msgspec.structs.replace(found, tries=trial.TRIES + 1))
    (said,) = boot(played)
    assert "3 starts of the machine" in said
    assert state(place) == ("26.4.0", "", False)


def test_a_power_cut_in_a_trial_costs_a_good_letter_nothing(played: Played) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    played.starts_again()
    boot(played)
    played.service(STEADY)
    assert place.device.watch() == {place.product.name: None}
    assert state(place) == ("26.4.0 (a)", "", False)


def test_what_was_cut_off_in_taking_back_is_made_up_for_with_the_service(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    played.service(FAILED)
    monkeypatch.setattr(confirmation, "go_back", lambda product: (_ for _ in ()).throw(KeyError))
    monkeypatch.setattr(confirmation, "start_anew", lambda unit: None)
    with pytest.raises(KeyError):
        place.device.watch()
    monkeypatch.undo()
    monkeypatch.setattr(systemd, "_BOOTED", played.folder)
    monkeypatch.setattr(confirmation, "_BOOT", played.folder / "boot")
    monkeypatch.setenv("PATH", f"{played.folder}/bin:{os.environ['PATH']}")
    (played.folder / "log").write_text("")
    place.device.check(None)
    assert place.text() == "VERSION = 'old'\n"
    assert any("start -- acme.service: VERSION = 'old'" in line for line in played.log())
    assert events(place).count("failed") == 1
    assert place.product.trials.current() is None


def test_a_service_that_rests_is_not_started_by_taking_back(played: Played, vendor: Vendor) -> None:
    vendor.release({"engine": {**OLD, "main.py": "bad\n"}}, name=_newer())
    played.place.device.check(None)
    played.place.device.install(None, user_initiated=True)
    played.service(RESTS)
    (said,) = boot(played)
    assert "the health check ended with status 1" in said
    assert state(played.place) == ("26.4.0", "", False)
    assert played.log() == []


def _runs_as_service(played: Played, monkeypatch: pytest.MonkeyPatch) -> None:
    pid = played.place.run(MAPS_A_LIBRARY, launched=False)
    (played.folder / "pid").write_text(str(pid))
    monkeypatch.setattr(programs, "unit_of", lambda number: ACME)
    monkeypatch.setattr(confirmation, "unit_of", lambda number: ACME)
    played.machine("running")


def test_a_restart_takes_back_what_its_service_does_not_run_with(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = played.place
    _runs_as_service(played, monkeypatch)
    played.service(FAILED)
    with pytest.raises(HealthCheckError, match=r"acme\.service does not run any more"):
        place.device.restart(None)
    assert state(place) == ("26.4.0", "", False)
    starts = [line for line in played.log() if "start -- acme" in line]
    assert [line.rpartition(": ")[2] for line in starts] == ["VERSION = 'new'", "VERSION = 'old'"]
    assert not any("default.target" in line for line in played.log())


def test_a_restart_is_done_when_its_service_runs(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = played.place
    _runs_as_service(played, monkeypatch)
    done = place.device.restart(None)
    assert done.started == ("acme.service",)
    assert state(place) == ("26.4.0 (a)", "", False)
    assert events(place)[-1] == "confirmed"


def test_which_services_run_from_it_is_remembered_for_a_start_of_the_machine(
    played: Played, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = played.place
    kiosk = Unit("kiosk.service")
    place.run(MAPS_A_LIBRARY, launched=False)
    monkeypatch.setattr(confirmation, "unit_of", lambda number: kiosk)
    place.device.check(None)
    place.stop()
    played.service(HANGS)
    boot(played)
    found = place.product.trials.current()
    assert found is not None
    assert found.services == (ACME, kiosk)
    assert (found.tries, found.whole, found.starting) == (1, False, True)


def test_a_letter_on_trial_is_nothing_to_go_back_to(played: Played, vendor: Vendor) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    vendor.release({"engine": {**OLD, "main.py": "VERSION = 'newest'\n"}}, name=_newer())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    played.starts_again()
    boot(played)
    assert state(place) == ("26.4.0 (b)", "", True)
    played.service(FAILED)
    place.device.watch()
    assert state(place) == ("26.4.0", "", False)


def test_a_removal_ends_a_trial(played: Played) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    place.device.remove(None, why="it hangs")
    assert state(place) == ("26.4.0", "", False)
    assert place.device.watch() == {}
    assert place.product.trials.current() is None


def test_what_was_taken_back_is_told_in_the_journal_and_by_the_notice(played: Played) -> None:
    place = played.place
    played.service(HANGS)
    boot(played)
    played.service(FAILED)
    agent = Agent(place.device, time.time, random.Random(1), lambda store: Conditions())
    (made,) = agent.watch_trials()
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journald:
        journald.bind(str(played.folder / "journal"))
        (event, *_) = report_run(made, place.folder / "store", to=played.folder / "journal")
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


def test_where_nobody_can_watch_it_is_told(played: Played) -> None:
    played.service(HANGS)

    def refuses(store: Path) -> None:
        raise CannotHandOverError("no", hint="later")

    done = startup.merge_at_start(played.place.device, watch=refuses, to=Path("/nowhere"))
    assert [str(error) for _, error in done if error is not None] == ["no. later"]
    assert state(played.place) == ("26.4.0 (a)", "", True)
