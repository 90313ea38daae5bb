"""Update runs on a real repository over real HTTP; only the time is simulated."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import random
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repoint.agent.agent_state import CHECK_EVERY, read_agent_state
from repoint.agent.plan import DAY
from repoint.agent.update_run import Agent, UpdateRun
from repoint.agent.update_run_lock import UpdateRunActiveError, update_run_lock
from repoint.device.device import Device
from repoint.device.errors import NoNetworkError
from repoint.device.store.records import UserSettings
from repoint.host.conditions import Conditions
from repoint.model.baseline import BaselineName
from tests.places import MAPS_A_LIBRARY, Place
from tests.serving import WebServer
from tests.world import FIXED, PLATFORM, Vendor

HOUR = 3600


@dataclass
class Bench:
    """A device with a simulated clock, conditions and jitter."""

    place: Place
    policy: Path
    now: float = field(default_factory=time.time)
    conditions: Conditions = field(default_factory=Conditions)
    rng: random.Random = field(default_factory=lambda: random.Random(4))

    @property
    def device(self) -> Device:
        return Device(
            self.place.folder / "store", clock=lambda: self.now, wait=5, policy=self.policy
        )

    def agent(self, *, if_due: bool = True) -> Agent:
        return Agent(self.device, lambda: self.now, self.rng, lambda store: self.conditions, if_due)

    def run(self, *, if_due: bool = True) -> UpdateRun:
        (run,) = self.agent(if_due=if_due).run()
        return run

    def rules(self, **rules: object) -> None:
        self.policy.mkdir(exist_ok=True)
        lines = [f"{k} = {str(v).lower() if isinstance(v, bool) else repr(v)}\n"
                 for k, v in rules.items()]  # fmt: skip
        (self.policy / "10-test.toml").write_text("".join(lines))

    def reason(self) -> str:
        overview = self.run().overview
        assert overview is not None
        assert overview.plan.install is not None
        return overview.plan.install.reason


@pytest.fixture
def bench(place: Place, tmp_path: Path) -> Bench:
    place.enroll()
    return Bench(place, tmp_path / "policy.d")


@pytest.mark.slow
def test_a_run_brings_an_improvement_into_force_if_nothing_runs(
    bench: Bench, vendor: Vendor
) -> None:
    vendor.release()
    run = bench.run()
    assert (run.checked, run.installed, run.activated) == (True, "26.3.1 (a)", "26.3.1 (a)")
    assert run.errors == []
    assert bench.place.text() == "VERSION = 'new'\n"
    assert run.overview is not None
    assert run.overview.status.protected


@pytest.mark.slow
def test_an_idle_run_checks_once_and_reports_nothing(
    bench: Bench, vendor: Vendor, server: WebServer
) -> None:
    vendor.release()
    bench.run()
    server.requests.clear()
    run = bench.run(if_due=False)
    assert [(r.path, r.status) for r in server.requests] == [("/metadata/timestamp.json", 304)]
    assert (run.installed, run.activated, run.errors) == ("", "", [])


@pytest.mark.slow
def test_a_frequent_timer_checks_only_when_a_check_is_due(bench: Bench, server: WebServer) -> None:
    bench.run()
    asked = []
    for _ in range(24):
        bench.now += HOUR
        server.requests.clear()
        bench.run()
        asked.append(bool(server.requests))
    assert asked.count(True) == 24 * HOUR // CHECK_EVERY


def test_with_automatic_installation_off_a_run_only_reports(bench: Bench, vendor: Vendor) -> None:
    bench.device.preferences.change_settings(None, UserSettings(automatic=False))
    vendor.release()
    run = bench.run()
    assert (run.checked, run.installed) == (True, "")
    assert run.overview is not None
    assert run.overview.plan.install is not None
    assert run.overview.plan.install.reason == "off"
    assert run.overview.affected_by_offer[0].component == "engine"


@pytest.mark.slow
def test_a_running_program_keeps_what_it_has_until_it_ends(bench: Bench, vendor: Vendor) -> None:
    bench.place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    run = bench.run()
    assert (run.installed, run.activated, run.errors) == ("26.3.1 (a)", "", [])
    assert bench.place.text() == "VERSION = 'old'\n"
    bench.place.stop()
    assert bench.run().activated == "26.3.1 (a)"


@pytest.mark.slow
def test_at_the_deadline_the_program_is_closed_but_never_without_notice(
    bench: Bench, vendor: Vendor
) -> None:
    bench.rules(deadline_days=0)
    bench.place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    run = bench.run()
    assert (run.installed, run.activated) == ("26.3.1 (a)", "")
    assert run.overview is not None
    announced = run.overview.plan.activate
    assert announced is not None
    assert announced.when is not None
    assert announced.when >= bench.now + 14 * 60
    bench.now = announced.when - 60
    assert bench.run().activated == ""
    bench.now = announced.when
    assert bench.run().activated == "26.3.1 (a)"
    assert bench.place.text() == "VERSION = 'new'\n"
    assert bench.place.programs[0].wait(10) != 0


@pytest.mark.slow
def test_each_run_evaluates_the_conditions_again(bench: Bench, vendor: Vendor) -> None:
    vendor.release()
    reasons = []
    for conditions in (
        Conditions(metered=True),
        Conditions(battery=10, charging=False),
        Conditions(free=1),
    ):
        bench.conditions = conditions
        reasons.append(bench.reason())
    assert reasons == ["metered", "battery", "space"]
    bench.conditions = Conditions()
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.slow
def test_a_letter_that_fails_its_health_check_is_not_tried_again_but_the_next_one_is(
    place: Place, tmp_path: Path
) -> None:
    place.vendor.baseline(
        {"engine": {"main.py": "sound\n"}},
        name=_newer(),
        health=("grep", "-q", "sound", "{tree}/main.py"),
    )
    place.put({"main.py": "sound\n"})
    place.enroll()
    bench = Bench(place, tmp_path / "policy.d")
    place.vendor.release({"engine": {"main.py": "broken\n"}}, name=_newer())
    run = bench.run()
    assert [type(error).__name__ for error in run.errors] == ["HealthCheckError"]
    assert place.text() == "sound\n"
    place.server.requests.clear()
    for _ in range(30):
        bench.now += HOUR
        assert bench.run().installed == ""
    assert not any(r.path.endswith(".patch") for r in place.server.requests)
    place.vendor.release({"engine": {"main.py": "sound again\n"}}, name=_newer())
    bench.now += CHECK_EVERY
    assert bench.run().activated.endswith("(b)")
    assert place.text() == "sound again\n"


def _newer() -> BaselineName:
    return BaselineName(PLATFORM, "26.4.0", "26A1")


@pytest.mark.slow
def test_an_outage_is_tried_again_later_and_later(bench: Bench, server: WebServer) -> None:
    server.close()
    tries = []
    for _ in range(3 * 24 * 4):
        bench.now += HOUR / 4
        run = bench.run()
        if run.checked:
            assert isinstance(run.errors[0], NoNetworkError)
            tries.append(bench.now)
    gaps = [b - a for a, b in itertools.pairwise(tries)]
    assert 6 <= len(tries) <= 14, gaps
    assert gaps[0] <= HOUR
    assert gaps[-1] >= 4 * HOUR


@pytest.fixture
def open_server(vendor: Vendor) -> WebServer:
    return WebServer(vendor.public)


@pytest.mark.slow
def test_an_interrupted_download_continues(bench: Bench, vendor: Vendor, server: WebServer) -> None:
    files = {**FIXED, "lib/new.so": random.Random(8).randbytes(900_000)}
    vendor.release({"engine": files})
    server.cut_after = [300_000] + [1] * 3
    server.ranges = True
    run = bench.run()
    assert isinstance(run.errors[0], NoNetworkError)
    server.cut_after = []
    server.requests.clear()
    bench.now += 2 * HOUR
    run = bench.run()
    assert run.installed == "26.3.1 (a)", run.errors
    patches = [r for r in server.requests if r.path.endswith(".patch")]
    assert [r.status for r in patches] == [206]
    assert patches[0].length < 650_000


@pytest.mark.slow
def test_a_day_with_outages_restarts_and_three_improvements(
    bench: Bench, vendor: Vendor, server: WebServer
) -> None:
    """A timer that comes once an hour, on a device that is switched off now and then."""
    bench.rules(window="00:00-24:00")
    begin = bench.now
    releases = {3: "CVE-2026-0001", 9: "CVE-2026-0002", 17: "CVE-2026-0003"}
    outages = {5, 6, 7, 13}
    switched_off = {10, 11, 20}
    lag: dict[str, int] = {}
    stages: list[str] = []
    for hour in range(25):
        bench.now = begin + hour * HOUR + bench.rng.uniform(0, 1800)
        if hour in releases:
            text = f"VERSION = '{hour}'\n"
            vendor.release({"engine": {**FIXED, "main.py": text}}, releases[hour])
        if hour in switched_off:
            bench.place.stop()  # the machine restarts, and its programs with it
            continue
        if not bench.place.programs:
            bench.place.run(MAPS_A_LIBRARY, launched=bool(hour % 2))
        server.alter = (lambda path, data: b"") if hour in outages else (lambda path, data: data)
        run = bench.run()
        assert run.overview is not None
        stages += [run.installed] if run.installed else []
        for at, cve in releases.items():
            state = {c.cve: c.state for c in run.overview.status.cves}.get(cve)
            if at <= hour and state == "in force":
                lag.setdefault(cve, hour - at)
            assert at <= hour or state is None
        # At every moment the component is one whole tree, and the status says what happens.
        assert bench.place.text() in {
            "VERSION = 'old'\n",
            *(f"VERSION = '{h}'\n" for h in releases),
        }
        if run.overview.plan.install is not None:
            assert run.overview.plan.install.reason in ("now", "retry")
    assert stages == ["26.3.1 (a)", "26.3.1 (b)", "26.3.1 (c)"]
    assert set(lag) == set(releases.values())
    assert max(lag.values()) <= 6, lag
    events = [e.event for e in bench.device.history(None)]
    assert events.count("staged") == 3
    assert events.count("confirmed") >= 2
    assert "failed" not in events


@pytest.mark.slow
def test_two_agents_at_once_do_the_work_once(bench: Bench, vendor: Vendor) -> None:
    vendor.release()
    code = (
        "import random, sys, time\nfrom pathlib import Path\n"
        "from repoint.agent.update_run import Agent\n"
        "from repoint.agent.update_run_lock import UpdateRunActiveError\n"
        "from repoint.device.device import Device\n"
        "agent = Agent(Device(Path(sys.argv[1])), time.time, random.Random())\n"
        "try:\n    print([run.installed for run in agent.run()])\n"
        "except UpdateRunActiveError:\n    print('another')\n"
    )
    command = [sys.executable, "-c", code, str(bench.place.folder / "store")]
    agents = [
        subprocess.Popen(command, stdout=subprocess.PIPE, text=True,
                         env={**os.environ, "REPOINT_POLICY": str(bench.policy)})
        for _ in range(4)
    ]  # fmt: skip
    outputs = [agent.communicate(timeout=60)[0].strip() for agent in agents]
    assert outputs.count("['26.3.1 (a)']") == 1, outputs
    assert set(outputs) <= {"['26.3.1 (a)']", "another", "['']"}
    assert [e.event for e in bench.device.history(None)].count("staged") == 1
    assert bench.place.text() == "VERSION = 'new'\n"


def test_a_second_run_does_not_wait_for_the_first(bench: Bench) -> None:
    with update_run_lock(bench.place.folder / "store"), pytest.raises(UpdateRunActiveError):
        bench.run()


@pytest.mark.slow
@pytest.mark.parametrize("jump", [-400 * DAY, -DAY, 2 * DAY])
def test_a_clock_that_jumps_holds_nothing_up(bench: Bench, vendor: Vendor, jump: int) -> None:
    bench.rules(defer_days=1)
    vendor.clock = itertools.count(int(bench.now))
    vendor.release()
    assert bench.reason() == "deferred"
    bench.now += jump
    for _ in range(30):
        if bench.run().installed:
            break
        bench.now += HOUR
    else:
        pytest.fail("more than thirty hours for a deferral of one day")


@pytest.mark.slow
def test_after_the_clock_was_set_back_the_repository_is_checked_at_once(
    bench: Bench, server: WebServer
) -> None:
    bench.run()
    bench.now -= 30 * DAY
    server.requests.clear()
    assert bench.run().checked
    assert bench.place.product.documents.last_check() is not None


@pytest.mark.slow
def test_a_letter_that_does_not_fit_is_not_fetched_again(
    bench: Bench, vendor: Vendor, server: WebServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    from repoint.device.errors import NotApplicableError
    from repoint.device.update import candidate

    def unfit(*_: object) -> None:
        raise NotApplicableError("It does not fit", hint="Tell the vendor")

    monkeypatch.setattr(candidate, "_refuse_new_privileges", unfit)
    vendor.release()
    assert isinstance(bench.run().errors[0], NotApplicableError)
    assert read_agent_state(bench.place.product).is_unfit("a")
    bench.now += DAY
    run = bench.run()
    assert run.errors == []
    assert run.overview is not None
    assert run.overview.plan.install is not None
    assert run.overview.plan.install.reason == "failed"
    assert not any(r.path.endswith(".patch") for r in server.requests)


@pytest.mark.slow
def test_the_bandwidth_limit_of_the_policy_holds(bench: Bench, vendor: Vendor) -> None:
    bench.rules(bandwidth=500)
    vendor.release({"engine": {**FIXED, "lib/new.so": random.Random(8).randbytes(1_200_000)}})
    bench.device.check(None)
    began = time.monotonic()
    bench.device.install(None, user_initiated=True)
    took = time.monotonic() - began
    assert took > (1_200_000 - (1 << 18)) / 500_000 - 0.3


@pytest.mark.slow
def test_in_the_maintenance_window_and_not_before(bench: Bench, vendor: Vendor) -> None:
    opens = dt.datetime.fromtimestamp(bench.now + 3 * HOUR)
    bench.rules(window=f"{opens:%H:%M}-{opens + dt.timedelta(hours=2):%H:%M}")
    vendor.release()
    run = bench.run()
    assert run.installed == ""
    assert run.overview is not None
    assert run.overview.plan.install is not None
    when = run.overview.plan.install.when
    assert when is not None
    assert abs(when - bench.now - 3 * HOUR) < 61
    bench.now = when + 60
    assert bench.run().installed == "26.3.1 (a)"


@pytest.mark.slow
def test_an_improvement_with_only_a_new_advisory_is_activated_as_well(
    bench: Bench, vendor: Vendor
) -> None:
    vendor.release()
    bench.run()
    vendor.release(None, "CVE-2026-0002")  # the same trees
    run = bench.run(if_due=False)
    assert run.activated == "26.3.1 (b)"
    assert run.overview is not None
    assert run.overview.status.staged == ""


@pytest.mark.slow
def test_what_prepares_without_rights_leaves_the_rest_to_another(
    bench: Bench, vendor: Vendor
) -> None:
    pid = bench.place.run(MAPS_A_LIBRARY, launched=True)
    vendor.release()
    asked: list[str] = []
    device = Device(bench.place.folder / "store", policy=bench.policy, unprivileged=True)
    agent = Agent(device, lambda: bench.now, bench.rng, lambda store: Conditions(),
                  hand_over=lambda: asked.append("activate"))  # fmt: skip
    (run,) = agent.run()
    assert (run.installed, run.activated, run.handed_over) == ("26.3.1 (a)", "", True)
    assert asked == ["activate"]
    (run,) = bench.agent().activate()
    assert run.activated == "26.3.1 (a)"
    assert run.overview is not None
    assert [a.pids for a in run.overview.affected_now] == [(pid,)]
    (run,) = agent.run()
    assert asked == ["activate"], "nothing is under way, and no policy restarts programs"


def test_an_unconfirmed_activation_is_not_judged_without_rights(
    bench: Bench, vendor: Vendor
) -> None:
    vendor.release()
    bench.run()
    product = bench.place.product
    active = product.links.active()
    assert active is not None
    confirmed = product.generations.path(active) / "confirmed"
    confirmed.unlink()
    Device(bench.place.folder / "store", unprivileged=True).check(None)
    assert not confirmed.exists()
    bench.device.check(None)
    assert confirmed.exists()
