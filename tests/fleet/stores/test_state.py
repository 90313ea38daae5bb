"""The state of a fleet, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from repoint.fleet.records import LetterName, Outcome
from repoint.fleet.stores.errors import (
    DatabaseAddressError,
    DatabaseAwayError,
    DatabaseTooNewError,
)
from repoint.fleet.stores.opening import PATIENCE, open_state
from repoint.fleet.stores.state import SqlState
from repoint.model.baseline import BaselineName
from tests.fleet.reports import BASELINE, PRODUCT, count, event, new_id

HOUR, DAY = 3600, 86_400
NOW = 1_790_000_000 // HOUR * HOUR + 600
LETTER_A = LetterName(PRODUCT, BASELINE.platform, BASELINE.version, BASELINE.build, "a")
PLAIN = LetterName(PRODUCT, BASELINE.platform, BASELINE.version, BASELINE.build, "")


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return float(self.now)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def state(database: str, clock: Clock) -> Iterator[SqlState]:
    opened = open_state(database, clock=clock)
    yield opened
    opened.close()


def outcome(state: SqlState, since: int = 0) -> tuple[int, int, int, int, int]:
    found = state.outcomes(PRODUCT, since)
    assert len(found) <= 1
    return next(((o.staged, o.confirmed, o.failed, o.transient, o.silent) for o in found), (0,) * 5)


def devices(state: SqlState, letter: LetterName, moment: int) -> int:
    hour = moment // HOUR * HOUR
    return sum(
        a.devices for a in state.adoption(PRODUCT, hour) if (a.time, a.letter) == (hour, letter)
    )


def test_a_letter_is_counted_where_its_last_event_says(state: SqlState) -> None:
    ids = [new_id() for _ in range(10)]
    state.add([event("staged", one) for one in ids], NOW)
    assert outcome(state) == (10, 0, 0, 0, 0)
    state.add([event("confirmed", one) for one in ids[:6]], NOW + 60)
    state.add([event("failed", ids[6], failure="health")], NOW + 60)
    state.add([event("failed", ids[7], failure="busy")], NOW + 60)
    assert outcome(state) == (10, 6, 1, 1, 0)
    state.add([event("confirmed", ids[7])], NOW + 120)
    assert outcome(state) == (10, 7, 1, 0, 0)


def test_a_report_that_is_sent_twice_counts_once(state: SqlState) -> None:
    reports = [count(), count("a"), event("staged", new_id())]
    state.add([*reports, reports[0]], NOW)
    state.add(reports, NOW + 30)
    state.add([reports[1]], NOW + HOUR)
    assert (devices(state, PLAIN, NOW), devices(state, LETTER_A, NOW)) == (1, 1)
    assert outcome(state) == (1, 0, 0, 0, 0)


def test_an_older_event_never_overwrites_a_newer_one(state: SqlState) -> None:
    identity = new_id()
    state.add([event("confirmed", identity, age=100)], NOW)
    state.add([event("staged", identity, age=4000)], NOW + 10)
    state.add([event("failed", identity, failure="start", age=5000)], NOW + 20)
    assert outcome(state) == (1, 1, 0, 0, 0)
    assert state.find(identity)[0].kind == "confirmed"


def test_a_staging_and_what_follows_in_one_second_keep_their_order(state: SqlState) -> None:
    first, second = new_id(), new_id()
    state.add([event("staged", first), event("confirmed", first)], NOW)
    state.add([event("confirmed", second), event("staged", second)], NOW)
    assert outcome(state) == (2, 2, 0, 0, 0)


def test_a_letter_that_could_not_be_decoded_was_not_staged(state: SqlState) -> None:
    state.add([event("failed", new_id(), failure="decode")], NOW)
    assert outcome(state) == (0, 0, 1, 0, 0)


def test_a_confirmation_implies_the_staging_whose_report_was_lost(state: SqlState) -> None:
    state.add([event("confirmed", new_id())], NOW)
    assert outcome(state) == (1, 1, 0, 0, 0)


def test_a_device_that_says_nothing_after_staging_is_silent(state: SqlState, clock: Clock) -> None:
    state.add([event("staged", new_id()) for _ in range(3)], NOW)
    clock.now += PATIENCE - HOUR
    assert outcome(state) == (3, 0, 0, 0, 0)
    clock.now += 2 * HOUR
    assert outcome(state) == (3, 0, 0, 0, 3)


def test_only_what_was_staged_since_a_resumption_counts(state: SqlState) -> None:
    early, late = new_id(), new_id()
    state.add([event("staged", early), event("failed", early, failure="health")], NOW)
    state.add([event("staged", late)], NOW + 700)
    state.add([event("failed", late, failure="health")], NOW + 800)
    assert outcome(state, NOW + 300) == (1, 0, 1, 0, 0)
    assert [group.devices for group in state.failures(PRODUCT, NOW + 300)] == [1]


def test_rings_and_platforms_are_counted_apart(state: SqlState) -> None:
    other = BaselineName("linux-aarch64", "26.3.1", "25D2128")
    state.add(
        [event("staged", new_id(), ring="early"), event("staged", new_id()),
         event("staged", new_id(), baseline=other)], NOW
    )  # fmt: skip
    assert [(o.letter.platform, o.ring, o.staged) for o in state.outcomes(PRODUCT)] == [
        ("linux-aarch64", "", 1), ("linux-x86_64", "", 1), ("linux-x86_64", "early", 1)
    ]  # fmt: skip


def test_failures_are_grouped_by_kind_the_largest_first(state: SqlState) -> None:
    for number, failure in enumerate(("health", "health", "decode")):
        state.add([event("failed", new_id(), failure=failure, age=number)], NOW)  # type: ignore[arg-type]
    assert [(g.failure, g.devices, g.first, g.last) for g in state.failures(PRODUCT)] == [
        ("health", 2, NOW - 1, NOW), ("decode", 1, NOW - 2, NOW - 2)
    ]  # fmt: skip


def test_a_count_without_an_id_stands_for_a_week(state: SqlState, clock: Clock) -> None:
    state.add([count(exposed=2), count()], NOW)
    clock.now += 9 * DAY
    first = next(a for a in state.adoption(PRODUCT, NOW))
    assert (first.devices, first.exposed) == (2, 1)
    assert devices(state, PLAIN, NOW + 7 * DAY - HOUR) == 2
    assert devices(state, PLAIN, NOW + 7 * DAY) == 0


def test_a_confirmation_without_a_device_moves_one_device_at_once(
    state: SqlState, clock: Clock
) -> None:
    state.add([count() for _ in range(100)], NOW - DAY)
    state.add([event("confirmed", new_id()) for _ in range(40)], NOW)
    assert (devices(state, PLAIN, NOW), devices(state, LETTER_A, NOW)) == (60, 40)
    clock.now += 8 * DAY
    assert devices(state, LETTER_A, NOW + 8 * DAY) == 0, "only their counts would keep them"


def test_the_devices_that_moved_and_those_that_were_counted_add_up(
    state: SqlState, clock: Clock
) -> None:
    """Devices count every seventh day; all go to (a) at once; there are never more or fewer."""
    for day in range(14):
        clock.now = NOW + day * DAY
        state.add([count("a" if day > 7 else "") for _ in range(100)], clock.now)
        if day == 7:
            state.add([event("confirmed", new_id()) for _ in range(700)], clock.now)
        if day >= 7:
            there = devices(state, PLAIN, clock.now), devices(state, LETTER_A, clock.now)
            assert abs(there[0]) < 70 and abs(there[1] - 700) < 70


def test_a_device_with_an_id_is_where_it_last_said(state: SqlState, clock: Clock) -> None:
    device, letter = new_id(), new_id()
    state.add([count(device=device)], NOW - DAY)
    state.add([event("staged", letter, device=device)], NOW)
    assert (devices(state, PLAIN, NOW), devices(state, LETTER_A, NOW)) == (1, 0)
    state.add([event("confirmed", letter, device=device)], NOW + HOUR)
    clock.now = NOW + 30 * DAY
    assert (devices(state, PLAIN, NOW + HOUR), devices(state, LETTER_A, NOW + HOUR)) == (0, 1)
    state.add([count("a", device=device, exposed=3)], clock.now)
    last = state.adoption(PRODUCT, clock.now)[-1]
    assert (last.letter, last.devices, last.exposed) == (LETTER_A, 1, 1)
    found = state.find(device)[0]
    assert (found.kind, found.is_device, found.letter, found.exposed) == (
        "count",
        True,
        LETTER_A,
        3,
    )


def test_a_device_keeps_its_place_in_the_letters_that_it_left(state: SqlState) -> None:
    device = new_id()
    for number, letter in enumerate("abc"):
        state.add([event("staged", new_id(), letter, device=device)], NOW + number * 100)
        if letter != "b":
            state.add(
                [event("confirmed", new_id(), letter, device=device)], NOW + number * 100 + 50
            )
    assert [(o.letter.letter, o.staged, o.confirmed) for o in state.outcomes(PRODUCT)] == [
        ("a", 1, 1), ("b", 1, 0), ("c", 1, 1)
    ]  # fmt: skip


def test_a_device_that_skipped_a_letter_is_not_silent_about_it(
    state: SqlState, clock: Clock
) -> None:
    device = new_id()
    state.add([event("staged", new_id(), "a", device=device)], NOW)
    state.add([event("staged", new_id(), "b", device=device)], NOW + 100)
    clock.now += PATIENCE + DAY
    assert [(o.letter.letter, o.silent) for o in state.outcomes(PRODUCT)] == [("a", 0), ("b", 1)]


def test_an_id_that_is_forgotten_leaves_nothing(state: SqlState, clock: Clock) -> None:
    device, letter = new_id(), new_id()
    state.add([event("staged", letter), count("a", device=device)], NOW)
    state.forget([device, letter, new_id()], NOW)
    assert outcome(state) == (0, 0, 0, 0, 0)
    assert state.adoption(PRODUCT, NOW) == []
    assert state.find(device) == state.find(letter) == []


def test_what_one_process_adds_another_sees(database: str, state: SqlState) -> None:
    other = open_state(database)
    other.add([event("staged", new_id(), ring="early")], NOW)
    state.add([event("staged", new_id(), ring="late", letter="b")], NOW)
    assert [(o.letter.letter, o.ring) for o in other.outcomes(PRODUCT)] == [
        ("a", "early"), ("b", "late")
    ]  # fmt: skip
    assert state.products() == other.products() == [PRODUCT]
    other.close()


def test_two_processes_that_add_at_once_lose_no_device(database: str, state: SqlState) -> None:
    other = open_state(database)
    ids = [new_id() for _ in range(200)]

    def work(one: SqlState) -> None:
        for start in range(0, 200, 10):
            one.add([event("staged", key) for key in ids[start : start + 10]], NOW)
            one.add([event("confirmed", key) for key in ids[start : start + 10]], NOW + 1)

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(work, (state, other)))
    assert outcome(state) == (200, 200, 0, 0, 0)
    other.close()


def test_the_letters_of_other_products_are_not_shown(state: SqlState) -> None:
    state.add([event("staged", new_id(), product="other"), count(product="other")], NOW)
    assert not (state.outcomes(PRODUCT) or state.adoption(PRODUCT, 0) or state.failures(PRODUCT))
    assert isinstance(state.outcomes("other")[0], Outcome)


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "mysql://x/y", "fleet.db", "", "postgresql+x://a"]
)
def test_an_address_of_no_such_database_is_refused(url: str) -> None:
    with pytest.raises(DatabaseAddressError, match="Write sqlite:"):
        open_state(url)


def test_a_database_that_does_not_answer_is_named_as_such() -> None:
    with pytest.raises(DatabaseAwayError, match=r"The database failed: .*[Cc]onnection"):
        open_state("postgresql://repoint@127.0.0.1:1/fleet")


def test_tables_of_a_newer_version_are_not_touched(database: str) -> None:
    import sqlalchemy as sa

    open_state(database).close()
    engine = sa.create_engine(database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(DatabaseTooNewError, match="Update Repoint"):
        open_state(database)


def test_an_id_of_which_nothing_was_heard_is_forgotten_and_its_letter_keeps_it(
    state: SqlState, clock: Clock
) -> None:
    old, new = new_id(), new_id()
    state.add([event("confirmed", new_id(), device=old), count(device=new)], NOW)
    state.add([count(device=new)], NOW + 80 * DAY)
    clock.now = NOW + 91 * DAY
    state.prune(clock.now, 90)
    assert (state.find(old), len(state.find(new))) == ([], 1)
    assert devices(state, LETTER_A, clock.now) == 0
    assert devices(state, PLAIN, clock.now) == 1
    assert outcome(state) == (1, 1, 0, 0, 0)


def test_old_history_goes_and_the_sums_stay(state: SqlState, clock: Clock) -> None:
    state.add([count(device=new_id()), count(device=new_id()), count()], NOW)
    state.add([event("staged", new_id())], NOW)
    state.add([count(device=new_id())], NOW + 300 * DAY)
    clock.now = NOW + 401 * DAY
    state.prune(clock.now, 500)
    assert devices(state, PLAIN, clock.now) == 3
    assert min(a.time for a in state.adoption(PRODUCT, 0)) == (clock.now // HOUR - 400 * 24) * HOUR
    assert outcome(state) == (0, 0, 0, 0, 0)


def test_a_nonce_is_known_for_a_day(state: SqlState, clock: Clock) -> None:
    report = count()
    state.add([report], NOW)
    state.prune(NOW + DAY, 90)
    state.add([report], NOW + DAY)
    clock.now = NOW + 2 * DAY
    assert devices(state, PLAIN, clock.now) == 1
    state.prune(clock.now, 90)
    state.add([report], clock.now)
    assert devices(state, PLAIN, clock.now) == 2, "rare, and it is one device too many"
