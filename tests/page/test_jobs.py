"""The queue of the page's jobs: one at a time, and nobody's check holds up a change."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from repoint.device.errors import NoNetworkError
from repoint.page.jobs import Job, Jobs, Kind, Report


@dataclass
class Held:
    """Work that goes on when the test says so."""

    jobs: Jobs
    order: list[str] = field(default_factory=list)
    gates: dict[str, threading.Event] = field(default_factory=dict)

    def start(self, name: str, kind: Kind, product: str = "kiosk", *, fails: bool = False) -> Job:
        job = Job(kind, product, name)
        self.gates[name] = threading.Event()

        def work(report: Report) -> None:
            self.order.append(name)
            while not self.gates[name].wait(0.01):
                report("download", 1, 2)
            if fails:
                raise NoNetworkError("no network", hint="connect")

        if not self.jobs.start(job, work):
            self.order.append(f"{name} was not needed")
        return job

    def go(self, *names: str) -> None:
        for name in names:
            self.gates[name].set()


@pytest.fixture
def held() -> Iterator[Held]:
    held = Held(Jobs())
    yield held
    held.go(*held.gates)
    held.jobs.shut_down()


def test_an_installation_waits_for_a_check_and_then_runs(held: Held) -> None:
    check = held.start("check", "check")
    install = held.start("install", "install")
    assert install.state == "waiting"
    assert held.jobs.latest("kiosk") is install
    held.go("check", "install")
    install.wait(10)
    assert (check.state, install.state) == ("done", "done")
    assert held.order == ["check", "install"]


def test_checks_by_the_dozen_come_after_an_installation(held: Held) -> None:
    held.start("first", "check")
    for number in range(12):
        held.start(f"other {number}", "check", f"other {number}")
    install = held.start("install", "install")
    for number in range(12):
        held.start(f"late {number}", "check", "kiosk")
    held.go(*held.gates)
    install.wait(10)
    assert install.state == "done"
    started = [name for name in held.order if "not needed" not in name]
    assert started[:2] == ["first", "install"]


def test_a_product_has_one_pending_check_and_one_pending_change(held: Held) -> None:
    running = held.start("running", "check")
    held.start("again", "check")
    install = held.start("install", "install")
    held.start("second install", "install")
    held.start("remove", "remove")
    held.start("check while one installs", "check")
    other = held.start("of another product", "remove", "signage")
    held.go(*held.gates)
    other.wait(10)
    assert [job.state for job in (running, install, other)] == ["done"] * 3
    assert [name.removesuffix(" was not needed") for name in held.order if "not needed" in name] == [
        "again", "second install", "remove", "check while one installs"]  # fmt: skip


def test_a_waiting_job_is_stopped_at_once(held: Held) -> None:
    held.start("check", "check")
    install = held.start("install", "install")
    assert install.stoppable
    held.jobs.stop(install)
    assert install.state == "stopped"
    held.go("check")
    held.jobs.shut_down()
    assert held.order == ["check"]
    assert held.jobs.latest("kiosk") is install


def test_a_check_does_not_replace_the_outcome_of_a_change(held: Held) -> None:
    install = held.start("install", "install", fails=True)
    held.go("install")
    install.wait(10)
    check = held.start("check", "check")
    held.go("check")
    check.wait(10)
    held.jobs.shut_down()
    assert held.jobs.latest("kiosk") is install
    held.jobs.dismiss("kiosk")
    assert held.jobs.latest("kiosk") is None


def test_the_next_job_runs_after_one_that_failed_unexpectedly(held: Held) -> None:
    broken = Job("install", "signage")

    def fail(_: Report) -> None:
        raise ZeroDivisionError("a bug")

    held.start("check", "check")
    held.jobs.start(broken, fail)
    install = held.start("install", "install")
    held.go("check", "install")
    install.wait(10)
    assert (broken.state, install.state) == ("failed", "done")
    assert broken.error is not None
    assert "a bug" in broken.error.message
