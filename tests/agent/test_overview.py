"""The overview: when an improvement installs, and what restarts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from repoint.agent.agent_state import AgentState, write_agent_state
from repoint.agent.overview import Observation, read_overview
from repoint.device.device import Device
from repoint.device.status.affected import Affected
from repoint.host.conditions import Conditions
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import Vendor

FREE = Conditions()


@pytest.fixture
def place(place: Place, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A device on which background updates run."""
    enroll = place.enroll

    def enroll_and_attend(**wanted: str) -> None:
        enroll(**wanted)
        write_agent_state(place.product, AgentState(last_run=int(time.time())))

    monkeypatch.setattr(place, "enroll", enroll_and_attend)
    return place


def test_without_background_updates_the_plan_promises_nothing(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    write_agent_state(place.product, AgentState(last_run=int(time.time()) - 3 * 86_400))
    plan = read_overview(place.device, None, Observation(conditions=FREE)).plan
    assert plan.install is not None
    assert (plan.install.when, plan.install.reason) == (None, "unattended")
    place.device.install(None, user_initiated=True)
    plan = read_overview(place.device, None, Observation(conditions=FREE)).plan
    assert plan.activate is not None
    assert (plan.activate.when, plan.activate.reason) == (None, "program")


def test_a_program_that_keeps_a_removed_improvement_need_not_restart(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.update()
    place.run(MAPS_A_LIBRARY, launched=True)
    place.device.remove(None, why="")
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.status.in_force == "26.3.1"
    assert overview.affected_now == ()
    assert overview.plan.activate is None


def test_the_overview_states_what_restarts_before_the_installation(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    place.device.check(None)
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.plan.install is not None
    assert overview.plan.install.reason == "now"
    assert [(a.component, a.scope, a.pids, a.again) for a in overview.affected_by_offer] == [
        ("engine", "app", (pid,), False)
    ]
    assert overview.affected_now == ()
    assert overview.plan.activate is None

    place.device.install(None, user_initiated=True)
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.plan.install is None
    assert overview.plan.activate is not None
    assert (overview.plan.activate.when, overview.plan.activate.reason) == (None, "program")
    assert [a.pids for a in overview.affected_now] == [(pid,)]

    place.stop()
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.affected_now == (Affected("engine", "app", "", "", (), False),)
    assert overview.plan.activate is not None
    assert overview.plan.activate.reason == "now"


def test_a_program_that_still_runs_replaced_code_waits_for_its_own_start(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    place.run(MAPS_A_LIBRARY, launched=True)
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.activate(None)
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.status.staged == ""
    assert overview.plan.activate is not None
    assert overview.plan.activate.reason == "program"
    assert len(overview.affected_now) == 1


def test_the_plan_names_the_policy_file_that_decides(
    place: Place, vendor: Vendor, tmp_path: Path
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    folder = tmp_path / "policy.d"
    folder.mkdir()
    (folder / "10-site.toml").write_text("automatic = false\ndeadline_days = 100000\n")
    broken = read_overview(
        Device(place.folder / "store", policy=folder), None, Observation(conditions=FREE)
    )
    assert "10-site.toml" in broken.effective_settings.policy_problem
    (folder / "10-site.toml").write_text("automatic = false\n")
    overview = read_overview(
        Device(place.folder / "store", policy=folder), None, Observation(conditions=FREE)
    )
    assert overview.effective_settings.automatic_locked_by == str(folder / "10-site.toml")
    assert overview.plan.install is not None
    assert overview.plan.install.reason == "off"
    assert overview.plan.install.policy == str(folder / "10-site.toml")


def test_reading_an_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys\nimport repoint.agent.overview\n"
        "heavy = {'numpy', 'tuf', 'cryptography', 'hdiffpatch', 'backports.zstd', 'compression.zstd', 'urllib3',"
        " 'starlette', 'jeepney', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
