"""The rules that confirm a letter on trial, roll it back, or let it wait, as a table."""

from __future__ import annotations

import msgspec
import pytest

from repoint.device.activate.trial import (
    CONFIRM,
    START_TIMEOUT,
    STEADY,
    TRIES,
    WAIT,
    Observation,
    count_start,
    decide,
)
from repoint.device.store.records import Trial
from repoint.host.systemd.services import MachineState, ServiceState, Unit

ACME, OTHER = Unit("acme.service"), Unit("other.service")
BEGAN = 20.0
TRIAL = Trial("1-1-a", "boot 1", BEGAN, services=(ACME, OTHER))
WHOLE = Trial("1-1-a", "boot 1", BEGAN, whole=True)
SOON, LATE = BEGAN + 5, BEGAN + START_TIMEOUT

RUNS = ServiceState(ACME, "active", STEADY)
RUNS_TOO = ServiceState(OTHER, "active", 500.0)
JUST_NOW = ServiceState(ACME, "active", STEADY - 1)
STARTS = ServiceState(ACME, "activating", 100.0)
STARTS_AGAIN = ServiceState(ACME, "activating", 1.0, result="exit-code")
RESTS = ServiceState(ACME, "inactive", 500.0)
IN_LINE = ServiceState(ACME, "inactive", 500.0, queued=True)
HAS_FAILED = ServiceState(ACME, "failed", 1.0, result="timeout")
FAILED_BEFORE = ServiceState(ACME, "failed", 1.0, queued=True, result="timeout")
SILENT = ServiceState(ACME, "unknown")


@pytest.mark.parametrize(
    ("services", "machine", "now"),
    [
        ((RUNS, RUNS_TOO), "running", SOON),
        ((RUNS, RUNS_TOO), "starting", SOON),
        ((RUNS, RUNS_TOO), "starting", LATE),
        ((RESTS, RUNS_TOO), "starting", SOON),
        ((RESTS,), "running", SOON),
        ((), "starting", SOON),
    ],
)
def test_a_letter_is_confirmed_when_its_services_run_or_were_not_requested(
    services: tuple[ServiceState, ...], machine: MachineState, now: float
) -> None:
    assert decide(Observation(TRIAL, services, machine, now)) == CONFIRM


@pytest.mark.parametrize("seen", [JUST_NOW, STARTS, STARTS_AGAIN, IN_LINE, FAILED_BEFORE, SILENT])
def test_a_letter_waits_for_a_starting_service_until_the_timeout(seen: ServiceState) -> None:
    assert decide(Observation(TRIAL, (RUNS_TOO, seen), "starting", SOON)) == WAIT
    assert decide(Observation(TRIAL, (RUNS_TOO, seen), "running", LATE - 1)) == WAIT
    verdict = decide(Observation(TRIAL, (RUNS_TOO, seen), "running", LATE))
    assert verdict.kind == "roll back"
    assert verdict.reason.startswith("acme.service did not run steadily within 10 minutes")


def test_a_letter_is_rolled_back_when_a_service_has_failed_for_good() -> None:
    verdict = decide(Observation(TRIAL, (RUNS_TOO, HAS_FAILED), "starting", SOON))
    assert (verdict.kind, verdict.reason) == (
        "roll back",
        "acme.service does not run any more (timeout)",
    )


def test_a_letter_of_the_system_waits_for_the_end_of_the_machine_start() -> None:
    assert decide(Observation(WHOLE, (), "starting", SOON)) == WAIT
    assert decide(Observation(WHOLE, (), "running", SOON)) == CONFIRM
    verdict = decide(Observation(WHOLE, (), "starting", LATE))
    assert verdict.reason == "the start of the machine did not end within 10 minutes"
    both = msgspec.structs.replace(TRIAL, whole=True)
    assert decide(Observation(both, (RUNS, RUNS_TOO), "starting", SOON)) == WAIT
    assert decide(Observation(both, (STARTS, RUNS_TOO), "running", SOON)) == WAIT
    assert decide(Observation(both, (RUNS, RUNS_TOO), "running", SOON)) == CONFIRM


@pytest.mark.parametrize("seen", [RUNS, STARTS, HAS_FAILED, RESTS])
def test_nothing_is_decided_while_the_machine_stops(seen: ServiceState) -> None:
    assert decide(Observation(TRIAL, (seen,), "stopping", LATE)) == WAIT
    assert decide(Observation(WHOLE, (), "stopping", LATE)) == WAIT


def test_each_start_is_counted_once_and_three_undecided_starts_roll_back() -> None:
    trial = TRIAL
    for number in range(2, TRIES + 1):
        trial = count_start(trial, f"boot {number}", 3.0)
        assert count_start(trial, f"boot {number}", 90.0) is trial, "within one start"
        assert (trial.tries, trial.began, trial.starting) == (number, 3.0, True)
        assert decide(Observation(trial)) == CONFIRM
    verdict = decide(Observation(count_start(trial, "one more", 3.0)))
    assert verdict.kind == "roll back"
    assert verdict.reason.startswith("3 starts of the machine")
    assert count_start(TRIAL, TRIAL.boot, 90.0) is TRIAL


def test_two_power_cuts_do_not_roll_a_letter_back() -> None:
    trial = count_start(count_start(TRIAL, "boot 2", 3.0), "boot 3", 3.0)
    assert decide(Observation(trial, (RUNS, RUNS_TOO), "running", 30.0)) == CONFIRM
