"""Whatever reports come, in whatever order: the roll-ups agree with the rows."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from repoint.fleet.stores.codes import CONFIRMED, EVER_STAGED, FAILURES, LATE, STAGED
from repoint.fleet.stores.transitions import (
    BUCKET,
    WAS_LATE,
    WAS_STAGED,
    Changes,
    Count,
    Event,
    Row,
    after_count,
    after_event,
    forget,
)

NOW = 1_790_000_000
IDS = st.integers(0, 3)
AGES = st.integers(0, 200_000)
STATUSES = st.sampled_from([STAGED, CONFIRMED, *FAILURES.values()])
LETTERS = st.integers(1, 3)

events = st.tuples(st.just("event"), IDS, STATUSES, LETTERS, AGES, st.integers(0, 2))
counts = st.tuples(st.just("count"), IDS, st.integers(0, 3), LETTERS, AGES, st.integers(0, 2))
deletions = st.tuples(st.just("forget"), IDS, st.just(0), LETTERS, AGES, st.just(0))
clock_errors = st.sampled_from([0, 0, 0, 10_000_000])


def played(steps: list[tuple[str, int, int, int, int, int]], wrong: int, *, device: bool) -> tuple[dict[int, Row], Changes]:  # fmt: skip
    rows: dict[int, Row] = {}
    changes = Changes()
    now = NOW
    for number, (kind, key, value, letter, age, ring) in enumerate(steps):
        now += 1000
        seen = now + (wrong if number < 3 else 0)
        if kind == "event":
            event = Event(letter, value, seen - age, ring, 1, seen)
            rows[key] = after_event(rows.get(key), event, device=device, changes=changes)
        elif kind == "count" and device:
            count = Count(letter, 0, value, seen, ring, 1)
            rows[key] = after_count(rows.get(key), count, changes)
        elif kind == "forget" and key in rows:
            forget(rows.pop(key), seen, changes)
    return rows, changes


@given(st.lists(st.one_of(events, events, deletions), max_size=40), clock_errors)
def test_the_tallies_of_letters_are_those_of_the_rows(
    steps: list[tuple[str, int, int, int, int, int]], wrong: int
) -> None:
    # An id of a letter stands for one letter.
    steps = [(kind, key, value, 1 + key % 3, age, ring) for kind, key, value, _, age, ring in steps]
    rows, changes = played(steps, wrong, device=False)
    expected: Counter[tuple[int, int, int, int]] = Counter()
    for row in rows.values():
        statuses = [row.status]
        statuses += [EVER_STAGED] if row.flags & WAS_STAGED else []
        statuses += [LATE] if row.flags & WAS_LATE else []
        expected.update((row.letter, row.ring, status, row.since // BUCKET) for status in statuses)
    assert {key: entry[0] for key, entry in changes.tallies.items() if entry[0]} == expected


@given(st.lists(st.one_of(events, counts, deletions), max_size=40), clock_errors)
def test_the_adoption_of_devices_is_that_of_the_rows(
    steps: list[tuple[str, int, int, int, int, int]], wrong: int
) -> None:
    rows, changes = played(steps, wrong, device=True)
    found: Counter[int] = Counter()
    exposed: Counter[int] = Counter()
    for (letter, _), entry in changes.adoption.items():
        found[letter] += entry[0]
        exposed[letter] += entry[1]
    in_force = [row for row in rows.values() if row.in_force]
    assert +found == Counter(row.in_force for row in in_force)
    assert +exposed == Counter(row.in_force for row in in_force if row.exposed)
    assert all(count >= 0 for count in changes_by_waiting(changes).values())


def changes_by_waiting(changes: Changes) -> Counter[int]:
    """Return the devices that wait with each letter."""
    waiting: Counter[int] = Counter()
    for (letter, _, status, _), entry in changes.tallies.items():
        if status == STAGED:
            waiting[letter] += entry[0]
    return waiting


def test_a_clock_that_was_wrong_holds_nothing_up() -> None:
    changes = Changes()
    future = NOW + 400 * 86_400
    row = after_event(None, Event(1, STAGED, future, 0, 1, future), device=False, changes=changes)
    row = after_event(row, Event(1, CONFIRMED, NOW, 0, 1, NOW), device=False, changes=changes)
    assert (row.status, row.event_time) == (CONFIRMED, NOW)
    row = after_count(Row(reported=future), Count(2, 0, 0, NOW, 0, 1), changes)
    assert (row.in_force, row.reported) == (2, NOW)
