"""What a device keeps about its reports: the rules of the spool."""

from __future__ import annotations

import random

import msgspec
import pytest

from repoint.device.report.moment import Moment
from repoint.device.report.spool import (
    LONGEST_RETRY,
    MAX_SPOOL,
    MOST_DELETIONS,
    WEEK,
    Delays,
    Spool,
    draw,
    new_nonce,
)
from repoint.model.baseline import BaselineName
from repoint.model.report import MAX_AGE, MAX_BATCH, Failure, Report

NOW = 1_800_000_000
HERE = Moment(NOW, "boot", 1000.0)
BASELINE = BaselineName("linux-x86_64", "26.3.1", "25D2128")
CHANCE = random.Random(7)
ADDRESS = "https://fleet.example.org"


def event(letter: str = "a", failure: Failure | None = None, device: str = "") -> Report:
    return Report(
        "1.0", "failed" if failure else "staged", new_nonce(CHANCE), "acme-kiosk", BASELINE,
        "0.1.0", letter=letter, id=f"{ord(letter[0]):032x}", failure=failure, device=device,
    )  # fmt: skip


def count(device: str = "") -> Report:
    return Report("1.0", "count", new_nonce(CHANCE), "acme-kiosk", BASELINE, "0.1.0", device=device)


def begun(*, device: str = "", now: int = NOW) -> Spool:
    return Spool().turned(ADDRESS, history=3, device=device, draw=draw(now, CHANCE))


def later(seconds: int, *, boot: str = "boot") -> Moment:
    return Moment(NOW + seconds, boot, 1000.0 + seconds)


def test_the_first_count_of_a_device_without_an_id_comes_at_its_own_minute_within_a_week() -> None:
    weeks = []
    for _ in range(200):
        spool = begun()
        assert not spool.is_count_due(NOW)
        weeks.append(next(s for s in range(0, WEEK + 60, 60) if spool.is_count_due(NOW + s)))
    assert max(weeks) <= WEEK
    assert min(weeks) < WEEK / 10 < WEEK * 0.9 < max(weeks)


def test_a_managed_device_shows_itself_at_once() -> None:
    assert begun(device="f" * 32).is_count_due(NOW)


def test_a_count_comes_once_a_week() -> None:
    spool, made = begun(), 0
    for hour in range(24 * 7 * 10):
        moment = later(hour * 3600)
        if spool.is_count_due(moment.now):
            spool = spool.with_count(count(), moment, new_nonce(CHANCE))
            made += 1
    assert made == 10
    assert len(spool.waiting) == 1  # an older count says nothing any more


@pytest.mark.parametrize("jump", [-20 * 365 * 86_400, -30 * 86_400, 30 * 86_400, 10**9])
def test_a_clock_that_jumps_makes_one_count_more_at_most_and_no_gap(jump: int) -> None:
    spool, made = begun(), 0
    for hour in range(24 * 7 * 3):
        now = NOW + hour * 3600 + (jump if hour > 100 else 0)
        if spool.is_count_due(now):
            spool = spool.with_count(count(), Moment(now), new_nonce(CHANCE))
            made += 1
    assert 2 <= made <= 5  # the jump moves the minute within the week


def test_an_event_that_was_noted_last_is_not_noted_again() -> None:
    spool = begun()
    for failure in ("network", "network", "space", "network"):
        spool = spool.with_event("a", event(failure=failure), HERE, 0)
    assert [w.report.failure for w in spool.waiting] == ["network", "space", "network"]


def test_the_age_counts_the_time_of_the_boot_and_not_that_of_the_clock() -> None:
    spool = begun().with_event("a", event(), HERE, 30)
    jumped = Moment(NOW + 20 * 365 * 86_400, "boot", 1060.0)
    assert [report.age for report in spool.batch(jumped)] == [90]
    back = Moment(NOW - 500, "another boot", 5.0)
    assert [report.age for report in spool.batch(back)] == [30]
    assert [report.age for report in spool.batch(later(600, boot="another"))] == [630]


def test_an_event_from_before_the_clock_was_set_is_not_lost() -> None:
    spool = begun().with_event("a", event(), HERE, 50 * 365 * 86_400)
    assert [report.age for report in spool.batch(HERE)] == [0]


def test_what_is_too_old_is_dropped_and_never_sent() -> None:
    spool = begun().with_event("a", event(), HERE, 0)
    past = later(MAX_AGE + 1)
    assert spool.batch(past) == ()
    assert spool.without_old(past).waiting == ()
    assert spool.without_old(later(MAX_AGE)) is spool


def test_the_spool_stays_within_its_size_and_drops_the_oldest() -> None:
    spool = begun()
    for number in range(1000):
        kinds: list[Failure] = ["network", "space"]
        spool = spool.with_event("a", event(failure=kinds[number % 2]), HERE, number)
    assert len(msgspec.json.encode(spool)) <= MAX_SPOOL
    ages = [waiting.age for waiting in spool.waiting]
    assert ages == list(range(1000 - len(ages), 1000))
    assert len(ages) > 50


def test_a_count_without_an_id_never_goes_with_events_that_have_one() -> None:
    spool = begun().with_event("a", event(), HERE, 0).with_count(count(), HERE, new_nonce(CHANCE))
    first = spool.batch(HERE)
    assert [report.kind for report in first] == ["staged"]
    second = spool.with_delivered(first, NOW).batch(HERE)
    assert [report.kind for report in second] == ["count"]


def test_a_managed_device_sends_all_at_once() -> None:
    spool = begun().with_event("a", event(device="f" * 32), HERE, 0)
    spool = spool.with_count(count("f" * 32), HERE, new_nonce(CHANCE))
    assert [report.kind for report in spool.batch(HERE)] == ["staged", "count"]


def test_a_failure_delays_the_next_attempt_with_jitter_and_doubles() -> None:
    delays, means = Delays(), []
    for _ in range(4):
        drawn = [delays.longer(NOW, CHANCE).retry - NOW for _ in range(300)]
        means.append(sum(drawn) / len(drawn))
        assert max(drawn) > 1.3 * means[-1]
        assert min(drawn) < 0.7 * means[-1]
        delays = delays.longer(NOW, CHANCE)
    assert means == pytest.approx([900, 1800, 3600, 7200], rel=0.1)
    for _ in range(30):
        delays = delays.longer(NOW, CHANCE)
    assert delays.retry - NOW <= LONGEST_RETRY


def test_a_server_may_ask_for_more_time_but_not_for_ever() -> None:
    assert Delays().longer(NOW, CHANCE, after=3600).retry >= NOW + 3600
    assert Delays().longer(NOW, CHANCE, after=10**9).retry <= NOW + LONGEST_RETRY


def test_after_a_clock_was_set_back_nothing_waits_for_years() -> None:
    delays = Delays().longer(NOW + 10**9, CHANCE)
    assert not Delays().longer(NOW, CHANCE).are_over(NOW)
    assert delays.are_over(NOW)


def test_too_large_a_request_is_halved_until_it_fits_and_the_next_one_is_whole_again() -> None:
    spool = begun()
    for letter in "abcdefgh":
        spool = spool.with_event(letter, event(letter), HERE, 0)
    sizes = []
    for _ in range(3):
        sizes.append(len(spool.batch(HERE)))
        spool = spool.with_smaller_batches(sizes[-1], NOW)
    assert sizes == [8, 4, 2]
    assert spool.with_delivered(spool.batch(HERE), NOW).most == MAX_BATCH


def test_turning_off_drops_what_waits_and_owes_the_deletion_of_what_was_sent() -> None:
    spool = begun().with_event("a", event("a"), HERE, 0).with_event("b", event("b"), HERE, 0)
    off = spool.turned("", history=9, device="f" * 32, draw=draw(NOW, CHANCE))
    assert off == Spool(deletions=off.deletions)
    (deletion,) = off.deletions
    assert deletion.address == ADDRESS
    assert deletion.ids == (event("a").id, event("b").id, "f" * 32)


def test_turning_off_before_anything_was_sent_leaves_nothing() -> None:
    off = begun().turned("", history=9, device="", draw=draw(NOW, CHANCE))
    assert not off.is_needed


def test_another_fleet_gets_nothing_that_was_sent_to_the_former() -> None:
    spool = begun().with_event("a", event("a"), HERE, 0)
    moved = spool.turned("https://other.example", history=9, device="", draw=draw(NOW, CHANCE))
    assert (moved.waiting, moved.last, moved.history) == ((), {}, 9)
    assert [deletion.address for deletion in moved.deletions] == [ADDRESS]


def test_turning_on_again_does_not_forget_what_is_to_be_deleted() -> None:
    spool = begun().with_event("a", event("a"), HERE, 0)
    off = spool.turned("", history=9, device="", draw=draw(NOW, CHANCE))
    on = off.turned(ADDRESS, history=9, device="", draw=draw(NOW, CHANCE))
    assert on.deletions == off.deletions
    again = on.with_event("b", event("b"), HERE, 0)
    (deletion,) = again.turned("", history=9, device="", draw=draw(NOW, CHANCE)).deletions
    assert deletion.ids == (event("a").id, event("b").id)


def test_a_deletion_is_tried_a_bounded_number_of_times() -> None:
    spool = begun().with_event("a", event("a"), HERE, 0)
    spool = spool.turned("", history=9, device="", draw=draw(NOW, CHANCE))
    tries = 0
    while spool.deletions:
        (deletion,) = spool.deletions
        spool = spool.with_deletion(deletion, deletion.delays.longer(NOW, CHANCE))
        tries += 1
    assert tries == MOST_DELETIONS
    assert not spool.is_needed
