"""Update runs that cannot work: the second one in a row is an error that everybody can see."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from repoint.agent.overview.overview import Observation, read_overview
from repoint.agent.update_run import Agent, UpdateRun
from repoint.agent.update_run_lock import (
    UpdateRunActiveError,
    UpdateRunStuckError,
    update_run_lock,
)
from repoint.device.device import Device
from repoint.device.store.store_lock import locked
from repoint.host.conditions import Conditions
from tests.cli.command import repoint
from tests.places import Place
from tests.serving import WebServer

START = 1_800_000_000


@dataclass
class Bench:
    place: Place
    policy: Path
    hours: itertools.count[int] = field(default_factory=itertools.count)
    now: int = START

    @property
    def device(self) -> Device:
        return Device(
            self.place.folder / "store", clock=lambda: self.now, wait=0.1, policy=self.policy
        )

    def run(self) -> UpdateRun:
        self.now = START + 5 * 3600 * next(self.hours)
        agent = Agent(self.device, lambda: self.now, random.Random(1), lambda _: Conditions())
        (run,) = agent.run()
        return run

    def hindrance(self) -> str:
        observation = Observation(now=self.now, conditions=Conditions())
        return read_overview(self.device, None, observation).hindrance


@pytest.fixture
def bench(place: Place, tmp_path: Path) -> Bench:
    place.enroll()
    (tmp_path / "policy.d").mkdir()
    return Bench(place, tmp_path / "policy.d")


def busy(bench: Bench, server: WebServer) -> AbstractContextManager[None]:
    return locked(bench.place.folder / "store", "repoint install")


def forbidden(bench: Bench, server: WebServer) -> AbstractContextManager[None]:
    (bench.policy / "1.toml").write_text('repositories = ["https://other.example/"]')
    return nullcontext()


def open_to_all(bench: Bench, server: WebServer) -> AbstractContextManager[None]:
    (bench.policy / "1.toml").write_text("automatic = true")
    bench.policy.chmod(0o777)
    return nullcontext()


def malformed(bench: Bench, server: WebServer) -> AbstractContextManager[None]:
    (bench.policy / "1.toml").write_text("automatic = maybe")
    return nullcontext()


def damaged_answers(bench: Bench, server: WebServer) -> AbstractContextManager[None]:
    server.etags = False
    server.alter = lambda path, data: b"<html>" + data
    return nullcontext()


def heal(bench: Bench, server: WebServer) -> None:
    for file in bench.policy.iterdir():
        file.unlink()
    bench.policy.chmod(0o755)
    server.alter = lambda path, data: data


HINDRANCES: dict[str, tuple[Callable[[Bench, WebServer], AbstractContextManager[None]], str]] = {
    "the store is locked": (busy, "`repoint install` (process"),
    "the policy forbids the repository": (forbidden, "are not allowed by"),
    "the policy is refused": (open_to_all, "The policy is refused"),
    "the policy is malformed": (malformed, "is not valid TOML"),
    "a portal answers": (damaged_answers, "asks for a login"),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("case", HINDRANCES)
def test_the_second_run_in_a_row_that_cannot_work_is_shown(
    bench: Bench, server: WebServer, case: str
) -> None:
    hinder, message = HINDRANCES[case]
    bench.run()
    with hinder(bench, server):
        bench.run()
        assert bench.hindrance() == ""
        run = bench.run()
        assert run.failed
        assert run.hindered == 2
        assert bench.hindrance().startswith("the last 2 update runs could not work: ")
        assert message in bench.hindrance()
    heal(bench, server)
    assert not bench.run().failed
    assert bench.hindrance() == ""


def test_a_store_that_is_in_use_once_is_no_error(bench: Bench, server: WebServer) -> None:
    with busy(bench, server):
        assert not bench.run().failed


@pytest.mark.slow
def test_a_run_that_stays_active_is_an_error_for_the_second_that_cannot_start(
    bench: Bench,
) -> None:
    store = bench.place.folder / "store"
    with update_run_lock(store):
        with pytest.raises(UpdateRunActiveError):
            bench.run()
        assert bench.hindrance() == ""
        with pytest.raises(UpdateRunStuckError, match="2 update runs in a row could not start"):
            bench.run()
        assert "could not start" in bench.hindrance()
        answer = repoint("agent", "run-once", "--store", store)
        assert (answer.status, answer.out) == (
            0,
            "Another update run is active. Wait for it; it covers every product.\n",
        )
    bench.run()
    assert bench.hindrance() == ""


def test_the_command_and_the_status_show_it(place: Place) -> None:
    place.enroll()
    store = place.folder / "store"
    (store / "missed.json").write_text('{"runs": 1, "since": 1700000000, "until": 1700000000}')
    with update_run_lock(store):
        answer = repoint("agent", "run-once", "--store", store)
        assert (answer.status, answer.out) == (1, "")
        assert "2 update runs in a row could not start" in answer.err
        assert "  updates  ! the last 2 update runs could not start" in (
            repoint("status", "--store", store).out
        )


def test_a_refused_policy_stops_everything_automatic(bench: Bench, server: WebServer) -> None:
    bench.place.vendor.release()
    with open_to_all(bench, server):
        run = bench.run()
    assert run.checked
    assert (run.installed, run.activated) == ("", "")
    assert bench.place.text() == "VERSION = 'old'\n"


def test_a_fault_of_repoint_in_one_product_is_an_error_of_that_product(bench: Bench) -> None:
    def broken(store: Path) -> Conditions:
        raise ValueError("no such thing")

    (run,) = Agent(bench.device, lambda: START, random.Random(1), broken).run()
    assert run.failed
    assert [str(error) for error in run.errors] == [
        "An unexpected error ended the update run of acme-kiosk: ValueError: no such thing. "
        "Report it to Repoint's developers; the next run tries again"
    ]


def test_a_server_decides_how_soon_the_next_check_comes_but_not_how_late(bench: Bench) -> None:
    from repoint.agent.agent_state import LONGEST_RETRY, AgentState

    rng = random.Random(1)
    assert AgentState().with_failure(START, rng, after=7200).retry == START + 7200
    assert AgentState().with_failure(START, rng, after=10).retry > START + 400
    assert AgentState().with_failure(START, rng, after=10**9).retry <= START + LONGEST_RETRY
