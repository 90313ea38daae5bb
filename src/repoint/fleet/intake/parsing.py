"""Read the body of a request strictly: reports, or ids to forget.

A body is hostile. It is read only up to `MAX_BODY` bytes, and nothing of a batch is taken unless
all of it is as it should be.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final

import msgspec

from repoint.model.errors import RepointError
from repoint.model.report import MAX_BATCH, MAX_REPORT, Report

MAX_BODY: Final = MAX_BATCH * (MAX_REPORT + 2)
"""Bytes of a body: as many of the largest reports as there may be, with commas and spaces."""

MAX_IDS: Final = 1000
"""Ids in one request for deletion."""

_ID: Final = re.compile(r"[0-9a-f]{32}")

_REPORTS: Final = msgspec.json.Decoder(list[Report])
_REPORT: Final = msgspec.json.Decoder(Report)
_PARTS: Final = msgspec.json.Decoder(list[msgspec.Raw])
_IDS: Final = msgspec.json.Decoder(list[str])


class RefusedError(RepointError):
    """A request that will be refused again if it is repeated.

    Attributes:
        status: The status of the answer.
        index: The report that is wrong; None if the body as a whole is.
    """

    def __init__(self, message: str, *, status: int = 400, index: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.index = index


def read_reports(body: bytes, products: frozenset[str] | None = None) -> list[Report]:
    """Return the reports of a body.

    Args:
        body: The body.
        products: The products whose reports are taken; None for all.

    Raises:
        RefusedError: The body is no array of valid reports, or has too many.
    """
    try:
        reports = _REPORTS.decode(body)
        # The device's encoder writes each record in one way only. What looks like that cannot
        # name a field twice, and needs no closer look.
        usual = msgspec.json.encode(reports) == body
    except (msgspec.DecodeError, RepointError, RecursionError):
        usual = False
    if not usual:
        reports = _read_closely(body)
    elif len(reports) > MAX_BATCH:
        raise _too_many(len(reports))
    if products is not None:
        for index, report in enumerate(reports):
            if report.product not in products:
                raise RefusedError(
                    f"The fleet does not know the product {report.product}", index=index
                )
    return reports


def read_ids(body: bytes) -> list[str]:
    """Return the ids of a body.

    Raises:
        RefusedError: The body is no array of ids, or has too many.
    """
    try:
        ids = _IDS.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"The body is no array of ids: {error}") from None
    if len(ids) > MAX_IDS:
        raise RefusedError(f"A request may have {MAX_IDS} ids, not {len(ids)}", status=413)
    for index, one in enumerate(ids):
        if not _ID.fullmatch(one):
            raise RefusedError("An id is 32 hexadecimal digits", index=index)
    return ids


def _read_closely(body: bytes) -> list[Report]:
    try:
        parts = _PARTS.decode(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise RefusedError(f"The body is no array of reports: {error}") from None
    if len(parts) > MAX_BATCH:
        raise _too_many(len(parts))
    return [_read_one(bytes(part), index) for index, part in enumerate(parts)]


def _read_one(part: bytes, index: int) -> Report:
    if len(part) > MAX_REPORT:
        raise RefusedError(f"A report has at most {MAX_REPORT} bytes", status=413, index=index)
    try:
        report = _REPORT.decode(part)
        json.loads(part, object_pairs_hook=_without_duplicates)
    except (msgspec.DecodeError, RepointError, RecursionError, ValueError) as error:
        raise RefusedError(f"Not a valid report: {error}", index=index) from None
    return report


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a field is named twice")
    return made


def _too_many(count: int) -> RefusedError:
    return RefusedError(f"A request may have {MAX_BATCH} reports, not {count}", status=413)
