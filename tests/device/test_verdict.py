"""The headline: every combination of findings, and what makes the last check too old."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from repoint.agent.overview.overview import Observation, read_overview
from repoint.device.device import Device
from repoint.device.status.verdict import NOT_KNOWN, Findings, Verdict, verdict_of
from repoint.device.store.freshness import LONGEST, is_stale
from repoint.device.store.records import LastCheck
from repoint.model.errors import RepointError
from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor

ORDER = get_args(Verdict)
CAUSES = [field.name for field in msgspec.structs.fields(Findings)]
DAY = 86_400


def test_every_cause_has_a_verdict_and_protected_is_the_last() -> None:
    assert [*CAUSES, "protected"] == list(ORDER)
    assert set(NOT_KNOWN) < set(ORDER) - {"protected"}


def test_the_first_cause_decides_in_every_combination() -> None:
    for found in itertools.product([False, True], repeat=len(CAUSES)):
        findings = Findings(**dict(zip(CAUSES, found, strict=True)))
        first = next((cause for cause, is_so in zip(CAUSES, found, strict=True) if is_so), None)
        assert verdict_of(findings) == (first or "protected")


@pytest.fixture
def protected(place: Place, vendor: Vendor) -> Place:
    place.enroll()
    vendor.release()
    place.update()
    assert place.device.status(None).verdict == "protected"
    return place


def verdict_in(place: Place, seconds: float) -> str:
    now = int(time.time() + seconds)
    return read_overview(place.device, None, Observation(now=now)).verdict


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("days", "verdict"),
    [(-400, "stale"), (-0.5, "protected"), (0, "protected"), (6.9, "protected"), (7.1, "stale"),
     (31, "stale"), (400, "stale")],
)  # fmt: skip
def test_the_vendors_last_answer_counts_until_its_timestamp_expires(
    protected: Place, days: float, verdict: str
) -> None:
    assert verdict_in(protected, days * DAY) == verdict


@pytest.mark.slow
def test_a_timestamp_that_is_valid_for_years_does_not_make_a_check_last_longer(
    protected: Place,
) -> None:
    path = protected.product.metadata / "timestamp.json"
    document = msgspec.json.decode(path.read_bytes())
    document["signed"]["expires"] = "2036-01-01T00:00:00Z"
    path.write_bytes(msgspec.json.encode(document))
    now = int(time.time())
    assert not is_stale(protected.product, now + LONGEST - 60)
    assert is_stale(protected.product, now + LONGEST + 60)


def test_a_failed_check_keeps_the_time_of_the_last_success(
    protected: Place, server: WebServer
) -> None:
    before = protected.device.status(None).last_check
    assert before is not None
    server.alter = lambda path, data: b"damaged"
    with pytest.raises(RepointError):
        Device(protected.folder / "store", clock=lambda: before.when + 60).check(None)
    last = protected.device.status(None).last_check
    assert last is not None
    assert (last.when, last.success) == (before.when + 60, before.when)
    assert last.error
    assert protected.device.status(None).verdict == "protected"


@pytest.mark.parametrize(
    ("text", "success"),
    [('{"when": 5}', 5), ('{"when": 5, "error": "x"}', 0),
     ('{"when": 5, "error": "x", "succeeded": 3}', 3)],
)  # fmt: skip
def test_records_of_earlier_versions_are_read(tmp_path: Path, text: str, success: int) -> None:
    assert msgspec.json.decode(text, type=LastCheck).success == success
