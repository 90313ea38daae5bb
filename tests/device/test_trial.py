"""The rules by which a letter on trial is confirmed, waited for or taken back, as a table."""

from __future__ import annotations

import msgspec
import pytest

from repoint.device.activate.trial import (
    HOLDS,
    PATIENCE,
    STEADY,
    TRIES,
    WAITS,
    counted,
    is_spent,
    judge,
)
from repoint.device.store.records import Trial
from repoint.host.systemd import MachineState, ServiceState, Unit

ACME, OTHER = Unit("acme.service"), Unit("other.service")
BEGAN = 20.0
TRIAL = Trial("1-1-a", "boot 1", BEGAN, services=(ACME, OTHER))
WHOLE = Trial("1-1-a", "boot 1", BEGAN, whole=True)
SOON, LATE = BEGAN + 5, BEGAN + PATIENCE

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
def test_a_letter_holds_when_its_services_run_or_nobody_asked_for_them(
    services: tuple[ServiceState, ...], machine: MachineState, now: float
) -> None:
    assert judge(TRIAL, services, machine, now) == HOLDS


@pytest.mark.parametrize("seen", [JUST_NOW, STARTS, STARTS_AGAIN, IN_LINE, FAILED_BEFORE, SILENT])
def test_a_service_on_its_way_is_waited_for_but_not_for_ever(seen: ServiceState) -> None:
    assert judge(TRIAL, (RUNS_TOO, seen), "starting", SOON) == WAITS
    assert judge(TRIAL, (RUNS_TOO, seen), "running", LATE - 1) == WAITS
    verdict = judge(TRIAL, (RUNS_TOO, seen), "running", LATE)
    assert verdict.kind == "failed"
    assert verdict.why.startswith("acme.service did not run steadily within 10 minutes")


def test_a_service_that_has_failed_for_good_is_not_waited_for() -> None:
    verdict = judge(TRIAL, (RUNS_TOO, HAS_FAILED), "starting", SOON)
    assert (verdict.kind, verdict.why) == ("failed", "acme.service does not run any more (timeout)")


def test_where_the_machine_has_to_start_its_start_must_come_to_an_end() -> None:
    assert judge(WHOLE, (), "starting", SOON) == WAITS
    assert judge(WHOLE, (), "running", SOON) == HOLDS
    verdict = judge(WHOLE, (), "starting", LATE)
    assert verdict.why == "the start of the machine did not end within 10 minutes"
    both = msgspec.structs.replace(TRIAL, whole=True)
    assert judge(both, (RUNS, RUNS_TOO), "starting", SOON) == WAITS
    assert judge(both, (STARTS, RUNS_TOO), "running", SOON) == WAITS
    assert judge(both, (RUNS, RUNS_TOO), "running", SOON) == HOLDS


@pytest.mark.parametrize("seen", [RUNS, STARTS, HAS_FAILED, RESTS])
def test_nothing_is_decided_while_the_machine_stops(seen: ServiceState) -> None:
    assert judge(TRIAL, (seen,), "stopping", LATE) == WAITS
    assert judge(WHOLE, (), "stopping", LATE) == WAITS


def test_starts_are_counted_once_each_and_three_without_a_decision_are_enough() -> None:
    trial = TRIAL
    for number in range(2, TRIES + 1):
        trial = counted(trial, f"boot {number}", 3.0)
        assert counted(trial, f"boot {number}", 90.0) is trial, "within one start"
        assert (trial.tries, trial.began, trial.starting) == (number, 3.0, True)
        assert not is_spent(trial)
    assert is_spent(counted(trial, "one more", 3.0))
    assert counted(TRIAL, TRIAL.boot, 90.0) is TRIAL


def test_one_power_cut_or_two_do_not_condemn_a_letter() -> None:
    trial = counted(counted(TRIAL, "boot 2", 3.0), "boot 3", 3.0)
    assert not is_spent(trial)
    assert judge(trial, (RUNS, RUNS_TOO), "running", 30.0) == HOLDS
