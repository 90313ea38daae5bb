"""What is known of one device: what it runs, and what it said last."""

from __future__ import annotations

import pytest

from repoint.fleet.records import DeviceState
from repoint.fleet.stores.opening import open_state
from repoint.model.report import Report
from tests.fleet.reports import count, event, new_id

NOW = 1_800_000_000
DEVICE = "d" * 32


def known(database: str, *reports: Report) -> DeviceState:
    """Return what is known after some reports, a minute apart."""
    state = open_state(database, clock=lambda: NOW)
    for number, report in enumerate(reports):
        state.add([report], NOW + 60 * number)
    (found,) = state.find(reports[0].device or reports[0].id)
    state.close()
    return found


def label(found: DeviceState) -> str:
    return found.in_force.label if found.in_force is not None else "unknown"


def of_device(kind: str, letter: str) -> Report:
    failure = "health" if kind == "failed" else None
    return event(kind, new_id(), letter, device=DEVICE, failure=failure)  # type: ignore[arg-type]


A = (of_device("staged", "a"), of_device("confirmed", "a"))


@pytest.mark.parametrize(
    ("reports", "in_force", "about", "staged"),
    [
        ([*A, of_device("staged", "b"), of_device("failed", "b")], "26.3.1 (a)", "b", ""),
        ([*A, of_device("staged", "b")], "26.3.1 (a)", "b", "b"),
        ([*A, of_device("staged", "b"), of_device("confirmed", "b")], "26.3.1 (b)", "b", ""),
        ([count("a", staged="b", device=DEVICE), of_device("failed", "b")], "26.3.1 (a)", "b", ""),
        ([*A, count("a", staged="b", device=DEVICE)], "26.3.1 (a)", "a", "b"),
        ([*A, count(device=DEVICE)], "26.3.1", "", ""),
        ([of_device("failed", "b")], "unknown", "b", ""),
    ],
)
def test_a_device_runs_what_is_in_force_and_not_what_failed(
    database: str, reports: list[Report], in_force: str, about: str, staged: str
) -> None:
    found = known(database, *reports)
    assert (label(found), found.letter.letter, found.staged) == (in_force, about, staged)


def test_of_one_letter_on_a_device_nobody_knows_what_else_runs_there(database: str) -> None:
    identity = new_id()
    found = known(database, event("staged", identity, "b"), event("confirmed", identity, "b"))
    assert (found.is_device, found.in_force, found.letter.letter) == (False, None, "b")
