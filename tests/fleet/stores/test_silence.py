"""Silence after staging, and what becomes of it, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from repoint.fleet.stores.opening import PATIENCE, open_state
from repoint.fleet.stores.state import SqlState
from repoint.model.report import Report
from tests.fleet.reports import PRODUCT, event, new_id

NOW = 1_790_000_000
DEVICE = new_id()


@pytest.fixture
def state(database: str) -> Iterator[SqlState]:
    opened = open_state(database, clock=lambda: NOW)
    yield opened
    opened.close()


def late(state: SqlState) -> int:
    return sum(outcome.late for outcome in state.outcomes(PRODUCT))


@pytest.mark.parametrize(
    ("reports", "expected"),
    [
        ([event("confirmed", DEVICE, age=0)], 1),
        ([event("failed", DEVICE, age=0, failure="health")], 1),
        ([event("failed", DEVICE, age=0, failure="network")], 0),
        ([event("failed", DEVICE, age=60, failure="network"), event("confirmed", DEVICE)], 1),
        ([event("confirmed", DEVICE, age=PATIENCE), event("failed", DEVICE, failure="start")], 0),
        ([event("confirmed", DEVICE, age=3600)], 0),  # it happened in time and was sent later
        ([event("confirmed", DEVICE), event("failed", DEVICE, failure="start")], 1),
        ([event("confirmed", DEVICE), event("confirmed", DEVICE)], 1),
        ([event("confirmed", DEVICE, "b")], 0),
    ],
)
def test_a_device_that_settles_a_letter_after_a_long_silence_is_late(
    state: SqlState, reports: list[Report], expected: int
) -> None:
    state.add([event("staged", DEVICE, age=PATIENCE + 600)], NOW)
    for report in reports:
        state.add([report], NOW)
    assert late(state) == expected


def test_a_late_device_that_is_forgotten_leaves_nothing(state: SqlState) -> None:
    state.add([event("staged", DEVICE, age=PATIENCE + 600)], NOW)
    state.add([event("confirmed", DEVICE)], NOW)
    state.forget([DEVICE], NOW)
    assert state.outcomes(PRODUCT) == []


def test_reports_are_counted_by_the_hour_in_which_they_came(state: SqlState) -> None:
    hour = NOW // 3600 * 3600
    state.add([event("staged", new_id(), age=86_400), event("staged", new_id())], hour)
    state.add([event("staged", new_id())], hour + 3599)
    state.add([event("staged", new_id())], hour + 7200)
    assert state.received(hour - 3600) == {hour: 3, hour + 7200: 1}
    assert state.received(hour + 60) == {hour: 3, hour + 7200: 1}
    assert state.received(hour + 3600) == {hour + 7200: 1}
