"""What a catalog may state: whoever has its online key can write anything."""

from __future__ import annotations

import msgspec
import pytest

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog, Offer
from repoint.model.encoding import decode_record
from repoint.model.errors import InvalidRecordError

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
