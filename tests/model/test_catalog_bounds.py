"""What a catalog may state: whoever has its online key can write anything."""

from __future__ import annotations

import datetime as dt
import itertools
import string
import time
from zoneinfo import ZoneInfo

import msgspec
import pytest

from repoint.device.outcomes import Nothing
from repoint.device.store.records import Generation
from repoint.device.update.choice import choose
from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, ListedBaseline, Offer, Retirement
from repoint.model.encoding import decode_record
from repoint.model.errors import InvalidRecordError
from repoint.model.rollout import LAST_MOMENT

NAME = BaselineName("linux-x86_64", "1", "1")
OFFER = Offer(NAME, "a", "offered", 1_700_000_000)


def catalog(*offers: Offer) -> Catalog:
    return Catalog("1.0", "kiosk", offers=offers)


@pytest.mark.parametrize(
    "since", ["-1", str(-(2**63)), str(2**63 - 1), "1" + "0" * 30, "1.5", "[]"]
)
def test_a_time_that_no_calendar_has_is_refused(since: str) -> None:
    data = msgspec.json.encode(catalog(OFFER)).decode()
    data = data.replace(f'"since":{OFFER.since}', f'"since":{since}')
    with pytest.raises(InvalidRecordError, match="since"):
        decode_record(data.encode(), Catalog, "kiosk/catalog.json")


def test_nesting_without_end_is_one_line() -> None:
    deep = b'{"format":"1.0","product":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(InvalidRecordError, match="not a valid catalog"):
        decode_record(deep, Catalog, "kiosk/catalog.json")


def test_an_improvement_that_is_stated_twice_is_refused() -> None:
    catalog(OFFER, msgspec.structs.replace(OFFER, letter="b")).require_sound()
    twice = catalog(OFFER, msgspec.structs.replace(OFFER, state="withdrawn"))
    with pytest.raises(InvalidRecordError, match=r"'1 \(a\) of 1 \(1\) for linux-x86_64' is list"):
        twice.require_sound()


def test_more_improvements_than_any_vendor_publishes_are_refused() -> None:
    letters = [
        chr(97 + n % 26) + chr(97 + n // 26 % 26) + chr(97 + n // 676) for n in range(10_001)
    ]
    with pytest.raises(InvalidRecordError, match="may state 10000"):
        catalog(*(msgspec.structs.replace(OFFER, letter=one) for one in letters)).require_sound()


@pytest.mark.parametrize(
    ("reason", "kept"),
    [("", ""), ("It crashes", "It crashes"), ("x" * 1_000, "x" * 1_000),
     ("x" * 2_000_000, "x" * 999 + "…")],
    ids=["none", "short", "longest", "endless"],
)  # fmt: skip
def test_a_reason_is_cut_to_what_a_terminal_can_show(reason: str, kept: str) -> None:
    offer = msgspec.structs.replace(OFFER, state="withdrawn", reason=reason)
    listed = ListedBaseline(NAME, {}, Retirement(1_700_000_000, reason))
    short = Catalog("1.0", "kiosk", (listed,), (offer,)).with_short_reasons()
    assert [one.reason for one in short.offers] == [kept]
    assert [one.retired.reason for one in short.baselines if one.retired] == [kept]


def test_the_sum_of_the_two_latest_times_can_be_shown_in_any_time_zone() -> None:
    latest = LAST_MOMENT + LAST_MOMENT
    assert dt.datetime.fromtimestamp(latest, ZoneInfo("Pacific/Kiritimati")).year < 9_000


@pytest.mark.parametrize("when", [LAST_MOMENT + 1, 253_402_300_799])
def test_a_time_beyond_the_latest_is_refused(when: int) -> None:
    data = msgspec.json.encode(catalog(msgspec.structs.replace(OFFER, since=when)))
    with pytest.raises(InvalidRecordError, match="since"):
        decode_record(data, Catalog, "kiosk/catalog.json")


def test_thousands_of_withdrawn_letters_cost_no_time_and_fill_no_terminal() -> None:
    letters = map("".join, itertools.product(string.ascii_lowercase[:21], repeat=3))
    withdrawn = [
        msgspec.structs.replace(OFFER, letter=one, state="withdrawn", reason="It crashes")
        for one in letters
    ]
    began = time.process_time()
    nothing = choose(
        catalog(*withdrawn), NAME, Generation.of(NAME), lambda generation: None, user_initiated=True
    )
    assert isinstance(nothing, Nothing)
    assert len(str(nothing.message)) < 1_000
    assert time.process_time() - began < 5
