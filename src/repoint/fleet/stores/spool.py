"""Reports that wait in the database until the store of events has them."""

from __future__ import annotations

import uuid
import zlib
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa

from repoint.fleet.stores.failures import as_fleet_errors, write_transaction
from repoint.fleet.stores.tables import deletions, spool
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


class Chunk(NamedTuple):
    """Reports of one hour that wait.

    Attributes:
        hour: The hour in which they came, in hours since 1970.
        first: The number of the first transaction.
        last: The number of the last transaction.
        lines: The reports, as lines of JSON.
    """

    hour: int
    first: int
    last: int
    lines: bytes


class Waiting(NamedTuple):
    """How much waits.

    Attributes:
        oldest: The hour of the oldest report, in hours since 1970; None if none waits.
    """

    reports: int
    oldest: int | None


class Spool:
    """The reports that wait for the store of events, and the ids that it has to forget."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def next_chunk(self, before: int, most: int) -> Chunk | None:
        """Return the oldest reports of one hour; None if none are ready.

        They are ready if their hour is over, or if there are enough. Any process that asks gets
        the same reports, until they are dropped.

        Args:
            before: The hours before this one are over.
            most: Reports after which a chunk ends.
        """
        rows: list[Any] = []
        count, full = 0, False
        query = sa.select(spool.c.number, spool.c.hour, spool.c.reports).order_by(spool.c.number)
        with as_fleet_errors(), self._engine.connect() as connection:
            for row in connection.execute(query.limit(most)):
                full = count >= most or bool(rows and row.hour != rows[0].hour)
                if full:
                    break
                rows.append(row)
                count += row.reports
            if not rows or not (full or count >= most or rows[0].hour < before):
                return None
            bodies = connection.scalars(
                sa.select(spool.c.body)
                .where(spool.c.number.between(rows[0].number, rows[-1].number))
                .order_by(spool.c.number)
            )
            lines = b"".join(zlib.decompress(body) for body in bodies)
        return Chunk(rows[0].hour, rows[0].number, rows[-1].number, lines)

    def drop(self, chunk: Chunk) -> None:
        """Forget reports that the store of events has."""
        with write_transaction(self._engine) as connection:
            connection.execute(
                spool.delete().where(spool.c.number.between(chunk.first, chunk.last))
            )

    def waiting(self) -> Waiting:
        """Return how much waits."""
        query = sa.select(
            sa.func.coalesce(sa.func.sum(spool.c.reports), 0), sa.func.min(spool.c.hour)
        )
        with as_fleet_errors(), self._engine.connect() as connection:
            count, oldest = connection.execute(query).one()
        return Waiting(int(count), oldest)

    def forgotten(self) -> dict[str, int]:
        """Return the ids that the store of events has to forget, with the time up to which."""
        query = sa.select(deletions.c.id, deletions.c.time)
        with as_fleet_errors(), self._engine.connect() as connection:
            return {_hex(row[0]): row[1] for row in connection.execute(query)}

    def drop_forgotten(self, until: int) -> None:
        """Note that the store of events has forgotten the ids of deletions up to a time."""
        with write_transaction(self._engine) as connection:
            connection.execute(deletions.delete().where(deletions.c.time <= until))


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


def _hex(identity: bytes | uuid.UUID) -> str:
    return identity.hex() if isinstance(identity, bytes) else identity.hex
