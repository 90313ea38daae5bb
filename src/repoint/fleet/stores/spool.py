"""Reports on their way to the store of events, as lines of JSON."""

from __future__ import annotations

import msgspec

from repoint.model.report import Report


class StoredReport(msgspec.Struct, frozen=True):
    """A report in the store of events.

    Attributes:
        received: When it came, in seconds since 1970.
        time: When the event happened, in seconds since 1970.
        failure: The kind of failure; empty for none.
    """

    received: int
    time: int
    kind: str
    product: str
    platform: str
    version: str
    build: str
    letter: str
    staged: str
    exposed: int
    ring: str
    agent: str
    failure: str
    id: str
    device: str


def encode_reports(reports: list[Report], now: int) -> bytes:
    """Return reports that came at a time as lines of JSON."""
    return msgspec.json.Encoder().encode_lines([_stored(report, now) for report in reports])


def _stored(report: Report, now: int) -> StoredReport:
    name = report.baseline
    return StoredReport(
        now, now - report.age, report.kind, report.product, name.platform, name.version,
        name.build, report.letter, report.staged, report.exposed, report.ring, report.agent,
        report.failure or "", report.id, report.device,
    )  # fmt: skip
