"""What `repoint restart` reports."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from repoint.device.activate.restart import Restarted
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.host import Host
from repoint.host.kernel.processes import Processes
from tests.cli.command import repoint
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import FIXED, PLATFORM, Vendor


def with_missing_viewer(place: Place, vendor: Vendor) -> str:
    """Stage an improvement of a component whose program has gone since its enrolment.

    Returns:
        The command that starts the program.
    """
    viewer = place.folder / "viewer"
    viewer.touch(0o755)
    request = GraftRequest(place.graft, (str(viewer), "--full screen"))
    place.device.enroll(
        vendor.product, place.server.url, vendor.root, {"engine": request},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.run(MAPS_A_LIBRARY, launched=False)
    viewer.unlink()
    return f"{viewer} '--full screen'"


def test_a_program_that_cannot_be_started_again_fails_the_command(
    place: Place, vendor: Vendor
) -> None:
    command = with_missing_viewer(place, vendor)
    answer = repoint("restart", "--store", place.folder / "store")
    assert "26.3.1 (a) is active." in answer.out
    assert "Started" not in answer.out
    assert answer.err == (
        f"repoint: {command} could not be started: there is no such program. Start it yourself\n"
    )
    assert answer.status == 1
    assert place.device.status(None).in_force == "26.3.1 (a)"


def test_what_may_run_the_old_code_and_is_left_alone_is_named(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    code = "print('ready', flush=True); import time; time.sleep(600)"
    search_path = {"PYTHONPATH": place.graft.relative_to(place.folder).as_posix()}
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=place.folder, env=search_path, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None and process.stdout.readline()
        answer = repoint("restart", "--yes", "--store", place.folder / "store")
        name = Path(f"/proc/{process.pid}/comm").read_text().strip()
        process.kill()
    assert f"1 process was not restarted: {name} ({process.pid}). Nobody" in answer.out


def test_the_json_of_a_restart_separates_what_was_not_started(place: Place, vendor: Vendor) -> None:
    command = with_missing_viewer(place, vendor)
    answer = repoint("restart", "--json", "--store", place.folder / "store")
    result = json.loads(answer.out)
    assert result["started"] == []
    assert result["not_started"] == [{"name": command, "reason": "there is no such program"}]
    assert answer.status == 1


class Disputed(Processes):
    """Processes that may have become root through a set-user-ID program."""

    def may_be_set_user_id(self, pid: int) -> bool:
        return True


def test_what_another_account_may_have_started_as_root_is_left_to_the_person(
    place: Place, vendor: Vendor
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root runs programs as root")
    place.host = msgspec.structs.replace(Host.local(), processes=Disputed())
    request = GraftRequest(place.graft, ("/bin/sh", "-c", f"touch {place.folder}/started"))
    place.device.enroll(
        vendor.product, place.server.url, vendor.root, {"engine": request},
        BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.run(MAPS_A_LIBRARY, launched=False)
    done = place.device.restart(None)
    assert isinstance(done, Restarted)
    assert done.started == ()
    (program,) = done.not_started
    assert program.reason == "it ran as root, but another account may have started it"
    assert not (place.folder / "started").exists()


def test_a_check_says_that_what_is_offered_is_staged_already(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    store = place.folder / "store"
    assert "Available: 26.3.1 (a)" in repoint("check", "--store", store).out
    repoint("install", "--yes", "--store", store)
    answer = repoint("check", "--store", store)
    assert "26.3.1 (a) is staged already; `repoint restart` brings it into force." in answer.out
    assert "Available" not in answer.out
    vendor.release({"engine": {**FIXED, "share/readme": "b"}})
    assert "Available: 26.3.1 (b)" in repoint("check", "--store", store).out
