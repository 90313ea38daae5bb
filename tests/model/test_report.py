"""What a report may hold."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from repoint.model.baseline import BaselineName
from repoint.model.encoding import decode_record, encode_record
from repoint.model.errors import InvalidRecordError
from repoint.model.report import MAX_REPORT, Report

BASELINE = BaselineName("linux-x86_64", "26.3.1", "25D2128")
COUNT = Report("1.0", "count", "0" * 32, "acme-kiosk", BASELINE, "0.1.0", letter="a", staged="b")
FAILED = Report(
    "1.0",
    "failed",
    "1" * 32,
    "acme-kiosk",
    BASELINE,
    "0.1.0",
    letter="a",
    id="2" * 32,
    failure="health",
)


@pytest.mark.parametrize("report", [COUNT, FAILED])
def test_a_report_survives_its_json_form(report: Report) -> None:
    data = encode_record(report)
    assert len(data) < MAX_REPORT / 4
    assert decode_record(data, Report, "The report") == report


@pytest.mark.parametrize(
    ("report", "change"),
    [
        (COUNT, {"id": "2" * 32}),
        (COUNT, {"failure": "health"}),
        (COUNT, {"age": 5}),
        (COUNT, {"exposed": -1}),
        (COUNT, {"nonce": "0" * 31}),
        (COUNT, {"agent": "<script>"}),
        (COUNT, {"agent": "+1+cmd"}),
        (COUNT, {"device": "me"}),
        (COUNT, {"ring": "../x"}),
        (COUNT, {"hostname": "kiosk-7"}),
        (FAILED, {"letter": ""}),
        (FAILED, {"id": ""}),
        (FAILED, {"kind": "staged"}),
        (FAILED, {"failure": "moon"}),
        (FAILED, {"exposed": 1}),
        (FAILED, {"age": 10**9}),
        (FAILED, {"format": "2.0"}),
    ],
)
def test_what_no_report_holds_is_refused(report: Report, change: dict[str, object]) -> None:
    data = msgspec.json.encode({**msgspec.to_builtins(report), **change})
    with pytest.raises(InvalidRecordError):
        decode_record(data, Report, "The report")


def test_a_newer_minor_format_may_have_more_fields() -> None:
    data = msgspec.json.encode({**msgspec.to_builtins(COUNT), "format": "1.7", "weather": "fine"})
    assert decode_record(data, Report, "The report") == COUNT


BATCHES = sorted((Path(__file__).parent / "reports").glob("*-*.json"))


@pytest.mark.parametrize("batch", BATCHES, ids=lambda path: path.stem)
def test_a_batch_is_read_or_refused_as_its_name_says(batch: Path) -> None:
    data = batch.read_bytes()
    if batch.name.startswith("accepted-"):
        reports = msgspec.json.decode(data, type=tuple[Report, ...])
        assert msgspec.json.decode(msgspec.json.encode(reports)) == msgspec.json.decode(data)
    else:
        with pytest.raises((msgspec.ValidationError, InvalidRecordError)):
            msgspec.json.decode(data, type=tuple[Report, ...])
