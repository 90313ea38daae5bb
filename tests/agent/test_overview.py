"""The overview: when an improvement installs, and what restarts."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest

from repoint.agent.agent_state import AgentState, write_agent_state
from repoint.agent.overview.descriptions import describe_activation, describe_restart
from repoint.agent.overview.overview import Observation, read_overview
from repoint.agent.plan import Step
from repoint.device.device import Device
from repoint.device.outcomes import require_done
from repoint.device.status.affected import Affected
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.host.conditions import Conditions
from repoint.model.baseline import BaselineName
from repoint.page.views.programs import affected_programs
from tests.places import MAPS_A_LIBRARY, Place
from tests.world import FIXED, OLD, PLATFORM, Files, Vendor, write_tree

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


def test_what_only_a_restart_activates_is_not_promised_for_the_start_of_a_program(
    place: Place, vendor: Vendor
) -> None:
    name = BaselineName(PLATFORM, "26.3.2", "26A1")
    vendor.baseline({"engine": FIXED}, name=name, restart="service")
    place.graft.rename(place.folder / "older")
    write_tree(place.graft, FIXED)
    place.enroll()
    vendor.release({"engine": OLD}, name=name)
    write_agent_state(place.product, AgentState())
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert overview.plan.activate == Step(None, "service")
    assert describe_activation(overview).startswith("with `repoint restart`")


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
def test_a_process_that_uses_two_components_is_one_process_everywhere(
    place: Place, vendor: Vendor
) -> None:
    name = BaselineName(PLATFORM, "28", "28A1")
    other: Files = {**OLD, "late.py": "VERSION = 'plugins, old'\n"}
    vendor.baseline({"engine": OLD, "plugins": other}, name=name)
    place.put()
    plugins = write_tree(place.folder / "app/plugins", other)
    place.device.enroll(
        vendor.product,
        place.server.url,
        vendor.root,
        {"engine": GraftRequest(place.graft), "plugins": GraftRequest(plugins)},
        BaselineFilter(platform=PLATFORM, version="28"),
    )
    both = MAPS_A_LIBRARY.replace("print(", f"other = open('{plugins}/lib/engine.so'); print(")
    pid = place.run(both, launched=False)
    plugins_fixed: Files = {**FIXED, "late.py": "VERSION = 'plugins'\n"}
    vendor.release({"engine": FIXED, "plugins": plugins_fixed}, name=name)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    overview = read_overview(place.device, None, Observation(conditions=FREE))
    assert [(p.pid, p.component) for p in overview.status.exposed] == [(pid, "engine, plugins")]
    assert describe_restart(overview.affected_now) == f"python ({pid})"
    programs = affected_programs(overview.affected_now, place.device.host.processes)
    assert [(p.component, p.pids) for p in programs] == [("engine, plugins", (pid,))]
    restarted = require_done(place.device.restart(None))
    assert [use.pid for use in restarted.closed] == [pid]


def test_reading_an_overview_imports_nothing_heavy() -> None:
    code = (
        "import sys\nimport repoint.agent.overview.overview\n"
        "heavy = {'numpy', 'tuf', 'cryptography', 'hdiffpatch', 'backports.zstd', 'compression.zstd', 'urllib3',"
        " 'starlette', 'jeepney', 'typer', 'rich'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
