"""The history is completed from what is on disk, which is authoritative."""

from __future__ import annotations

from typing import TypedDict, Unpack

import pytest

from repoint.device.store.history.completion import CurrentState, missing_entries
from repoint.device.store.records import Event, HistoryEntry, Mark
from tests.places import Place
from tests.world import Vendor

BASE, A, B = "26.3.1", "26.3.1 (a)", "26.3.1 (b)"
NAME = "26.3.1 (25D2128) for linux-x86_64"
NOW = 2_000
ENROLLED = HistoryEntry(1_000, "enrolled", BASE, NAME)


class More(TypedDict, total=False):
    confirmed: bool
    staged: str
    title: str
    marks: dict[str, Mark]
    unavailable: str


def facts(active: str, **more: Unpack[More]) -> CurrentState:
    return CurrentState(
        baseline=NAME, detail=NAME, enrolled=1_000, base=BASE, active=active, **more
    )


def entries(label: str, *events: Event) -> list[HistoryEntry]:
    return [HistoryEntry(1_500, event, label) for event in events]


def missing(history: list[HistoryEntry], found: CurrentState) -> list[tuple[str, str]]:
    entries = missing_entries(history, found, now=NOW)
    assert missing_entries([*history, *entries], found, now=NOW + 1) == []
    return [(entry.event, entry.label) for entry in entries]


def test_a_history_that_says_all_of_it_is_left_alone() -> None:
    assert missing([ENROLLED], facts(BASE)) == []
    history = [ENROLLED, *entries(A, "staged", "activated", "confirmed")]
    assert missing(history, facts(A, confirmed=True)) == []
    assert missing([*history, *entries(B, "staged")], facts(A, confirmed=True, staged=B)) == []


def test_each_step_that_was_not_written_down_is() -> None:
    staged = entries(A, "staged")
    assert missing([], facts(BASE)) == [("enrolled", BASE)]
    assert missing([ENROLLED], facts(BASE, staged=A)) == [("staged", A)]
    assert missing([ENROLLED, *staged], facts(A)) == [("activated", A)]
    history = [ENROLLED, *entries(A, "staged", "activated")]
    assert missing(history, facts(A, confirmed=True)) == [("confirmed", A)]


def test_the_history_records_a_rolled_back_letter_as_failed() -> None:
    history = [ENROLLED, *entries(A, "staged", "activated")]
    failed = {A: Mark("failed", 1_600, "exit status 1")}
    assert missing(history, facts(BASE, marks=failed)) == [("failed", A)]
    entry = missing_entries(history, facts(BASE, marks=failed), now=NOW)[0]
    assert (entry.when, entry.why) == (1_600, "exit status 1")


def test_going_back_to_a_letter_does_not_confirm_it_again() -> None:
    history = [ENROLLED, *entries(A, "staged", "activated", "confirmed")]
    history += entries(B, "staged", "activated")
    failed = {B: Mark("failed", 1_600, "exit status 1")}
    assert missing(history, facts(A, confirmed=True, marks=failed)) == [("failed", B)]


def test_the_history_records_a_removal_once_for_each_letter() -> None:
    history = [ENROLLED, *entries(A, "staged", "activated", "confirmed"), *entries(B, "staged")]
    removed = {A: Mark("removed", 1_600, "why"), B: Mark("removed", 1_600, "why")}
    assert missing(history, facts(A, confirmed=True, marks=removed)) == [
        ("removed", A),
        ("removed", B),
    ]
    assert missing(history, facts(BASE, marks=removed))[-1] == ("activated", BASE)


def test_the_history_records_why_a_letter_was_unstaged() -> None:
    history = [ENROLLED, *entries(A, "staged")]
    gone = facts(BASE, unavailable="the vendor has withdrawn it")
    entry = missing_entries(history, gone, now=NOW)[0]
    assert (entry.event, entry.label, entry.why) == ("unstaged", A, "the vendor has withdrawn it")


def test_a_full_update_supersedes_the_letter_that_ran() -> None:
    history = [ENROLLED, *entries(A, "staged", "activated", "confirmed")]
    moved = CurrentState(
        baseline="next", detail="next", enrolled=1_700, base="26.3.2", active="26.3.2"
    )
    assert missing(history, moved) == [("enrolled", "26.3.2"), ("superseded", A)]


def test_a_letter_that_is_installed_again_is_confirmed_again() -> None:
    history = [ENROLLED, *entries(A, "staged", "activated", "confirmed", "removed")]
    history += [*entries(BASE, "activated"), *entries(A, "staged", "activated")]
    assert missing(history, facts(A, confirmed=True)) == [("confirmed", A)]


@pytest.mark.slow
def test_a_lost_history_changes_nothing_but_itself(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.update()
    (place.product.path / "history.jsonl").unlink()
    place.device.check(None)
    assert place.device.status(None).in_force == A
    assert [e.event for e in place.device.history(None)] == ["enrolled", "activated", "confirmed"]


def test_an_enrolment_that_did_not_come_to_its_commit_is_not_followed(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.update()
    (place.product.path / "unfinished").write_bytes(b"{}")
    place.device.check(None)
    assert place.device.status(None).in_force == A
    assert not (place.product.path / "unfinished").exists()
