"""The simulation does what the schedule, the store and the guard do."""

from __future__ import annotations

import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from repoint.fleet.records import Outcome
from repoint.fleet.simulation import tables
from repoint.fleet.simulation.devices import DAY, HOUR, MINUTE, Habits, simulate, turns
from repoint.fleet.simulation.scenarios import GOOD, BadLetter, Fleets
from repoint.fleet.simulation.watching import Stop, count_all, reached, watch
from repoint.fleet.stores.opening import open_state
from repoint.fleet.stores.transitions import BUCKET
from repoint.model.baseline import BaselineName
from repoint.model.report import Report
from repoint.model.rollout import POSITIONS, Rollout
from repoint.publisher.rollout.plan import DEFAULT_RAMP, parse_ramp
from tests.fleet.reports import PRODUCT, event, new_id

RAMP = "1% 10% 100% over 2d"
ROLLOUT = Rollout("0" * 32, 0, parse_ramp(RAMP))


@pytest.mark.parametrize(
    "ramp", [*DEFAULT_RAMP.values(), "0% 0.0001% 33.3333% 100% over 3d", "100%"]
)
def test_turns_are_those_of_the_schedule(ramp: str) -> None:
    rollout = Rollout("0" * 32, 0, parse_ramp(ramp))
    edges = [-(-step.share * POSITIONS // 1_000_000) for step in rollout.steps]
    near = {edge + offset for edge, offset in itertools.product(edges, (-1, 0, 1))}
    positions = sorted(each for each in near | {0, POSITIONS - 1} if 0 <= each < POSITIONS)
    expected = [rollout.turn(position) for position in positions]
    assert turns(rollout, np.array(positions, dtype=np.uint64)).tolist() == expected


def test_devices_stage_a_letter_at_a_check_after_their_turn_and_activate_it_later() -> None:
    devices = simulate(ROLLOUT, Habits(20_000, by_day=0, away=0), 1)
    staged = devices.staged
    for step in ROLLOUT.steps:
        due = np.mean(staged < step.after + 4 * HOUR + 20 * MINUTE)
        assert due == pytest.approx(step.share / 1_000_000, abs=0.01)
    assert (devices.activated > staged).all()
    assert (devices.staged_told > staged).all()
    assert (devices.settled_told > devices.activated).all()


def test_devices_that_are_away_come_late() -> None:
    devices = simulate(ROLLOUT, Habits(20_000, by_day=0, away=1.0), 1)
    assert np.median(devices.staged) > 7 * DAY


def test_a_seed_gives_the_same_devices_again() -> None:
    first, second = (simulate(ROLLOUT, Habits(1_000), 7) for _ in range(2))
    assert (first.activated == second.activated).all()
    assert (first.activated != simulate(ROLLOUT, Habits(1_000), 8).activated).any()


def test_the_counts_are_those_of_the_real_store(tmp_path: Path) -> None:
    """A store is told what 600 devices tell, and answers what the simulation counts."""
    devices = simulate(ROLLOUT, Habits(600), 1)
    letter = BadLetter("fails and hangs", fails=0.1, hangs=0.1)
    fate = letter.fate(devices, 3)
    counts = count_all(devices, fate, 5 * 1440)
    base = 1_800_000_000 // BUCKET * BUCKET
    minute = 4 * 1440
    now = base + minute * MINUTE
    state = open_state(f"sqlite:///{tmp_path}/fleet.db", clock=lambda: now)
    reports: list[Report] = []
    for number in range(600):
        name = BaselineName(f"platform-{devices.platform[number]}", "1", "1")
        identity, staged = new_id(), int(devices.staged[number])
        if base + devices.staged_told[number] <= now:
            age = minute * MINUTE - staged
            reports.append(event("staged", identity, "b", age=age, baseline=name))
        if fate.hangs[number] or base + devices.settled_told[number] > now:
            continue
        happened = minute * MINUTE - int(devices.activated[number])
        if fate.fails[number]:
            failed = event("failed", identity, "b", age=happened, failure="health", baseline=name)
            reports.append(failed)
        else:
            reports.append(event("confirmed", identity, "b", age=happened, baseline=name))
    state.add(reports, now)
    answered = {one.letter.platform: one for one in state.outcomes(PRODUCT)}
    state.close()
    for platform, counted in enumerate(counts):
        ours, theirs = counted.outcome(minute, platform), answered[f"platform-{platform}"]
        for field in ("tried", "staged", "confirmed", "failed"):
            assert getattr(ours, field) == getattr(theirs, field), field
        # The store rounds the moment of the staging to minutes.
        for field in ("waited", "silent", "late"):
            assert getattr(ours, field) == pytest.approx(getattr(theirs, field), abs=3), field


def test_a_halt_spares_the_devices_that_learn_of_it_in_time() -> None:
    devices = simulate(ROLLOUT, Habits(50_000), 1)
    stops: list[Stop | None] = [Stop(60, "failure")] * 4
    spared = ~reached(devices, stops)
    assert not spared[devices.activated < 60 * MINUTE].any()
    assert spared[devices.staged >= 62 * MINUTE].all()
    assert spared[devices.activated > 62 * MINUTE + 4 * HOUR + 20 * MINUTE].all()
    assert not (~reached(devices, [None] * 4)).any()


def test_behind_a_slow_mirror_more_devices_are_hit() -> None:
    stops: list[Stop | None] = [Stop(24 * 60, "failure")] * 4
    hit = [
        reached(simulate(ROLLOUT, Habits(50_000, lagging=share), 1), stops).sum()
        for share in (0.0, 1.0)
    ]
    assert hit[1] > hit[0]


def test_the_guard_halts_a_bad_letter_and_only_where_it_is_bad() -> None:
    fleets = Fleets(RAMP, 100_000)
    before = fleets.before()
    assert fleets.run(GOOD, before).stops == [None] * 4
    stops = fleets.run(BadLetter("bad on one platform", fails=1.0, platform=1), before).stops
    assert [stop is not None for stop in stops] == [False, True, False, False]
    stop = fleets.run(BadLetter("hangs", hangs=1.0), before).stops[0]
    assert stop is not None
    assert stop.subject == "silence"


def test_the_guard_looks_as_often_as_it_is_said() -> None:
    fleets = Fleets(RAMP, 50_000)
    letter = BadLetter("bad", fails=1.0)
    devices = fleets.devices(letter)
    counts = count_all(devices, letter.fate(devices, 3), 2_000)
    before: list[Outcome] = []
    every, rarely = (watch(counts, before, every=minutes)[0] for minutes in (1, 60))
    assert every is not None
    assert rarely is not None
    assert every.minute < rarely.minute
    assert rarely.minute % 60 == 0


def test_tables_go_between_the_marks_of_a_page(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{tables.BEGIN}\nold\n{tables.END}\nafter\n")
    tables.write(page, "new")
    assert page.read_text() == f"before\n{tables.BEGIN}\n\nnew\n\n{tables.END}\nafter\n"
    page.write_text("no marks")
    with pytest.raises(tables.NoPlaceError, match="has no place for the tables"):
        tables.write(page, "new")


@pytest.mark.slow
def test_the_default_ramp_keeps_its_promise_in_a_fleet_of_a_million() -> None:
    fleets = Fleets(DEFAULT_RAMP["routine"], 1_000_000)
    before = fleets.before()
    for share in (0.05, 0.2, 1.0):
        hit = fleets.run(BadLetter("bad", fails=share), before).hit
        assert hit <= 0.0002 * fleets.size


@pytest.mark.slow
def test_the_program_prints_every_table() -> None:
    command = [
        sys.executable,
        "-m",
        "repoint.fleet.simulation",
        "--devices",
        "20000",
        "--runs",
        "5",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for heading in ("Letters that go wrong", "Good letters", "Ramps", "Times and requests"):
        assert f"### {heading}" in done.stdout
