"""The state of a fleet in a database."""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa

from repoint.fleet.records import (
    Adoption,
    DeviceState,
    FailureGroup,
    LetterName,
    Outcome,
    SignedNames,
)
from repoint.fleet.stores import retention
from repoint.fleet.stores.bulk import Bulk
from repoint.fleet.stores.codes import (
    STAGED,
    failure_of,
    kind_of,
    letter_number,
    letter_text,
    status_of,
)
from repoint.fleet.stores.errors import TooManyDeletionsError
from repoint.fleet.stores.failures import as_fleet_errors, write_transaction
from repoint.fleet.stores.names import Names
from repoint.fleet.stores.new_names import NewNames
from repoint.fleet.stores.rollups import answers
from repoint.fleet.stores.rollups import changes as rollups
from repoint.fleet.stores.rollups.unused_names import drop_names
from repoint.fleet.stores.spool import Spool, encode_reports
from repoint.fleet.stores.tables import deletions, revisions, spool
from repoint.fleet.stores.transitions import (
    DEVICE,
    HOUR,
    Changes,
    Count,
    Event,
    Row,
    after_count,
    after_event,
    count_anonymous,
    forget,
    move_anonymous,
)
from repoint.model.report import Report

_MOST_DELETIONS = 200_000
"""Ids that wait until the store of events has forgotten them."""

_UNKNOWN = LetterName("", "", "", "", "")


class SqlState:
    """The state of a fleet in SQLite or PostgreSQL; any thread may call any method.

    One transaction writes at a time, also if several collectors share a database: what a report
    changes depends on what was there before.
    """

    def __init__(
        self,
        engine: sa.Engine,
        bulk: Bulk,
        *,
        clock: Callable[[], float],
        patience: int,
        keeps_events: bool,
        signed: Callable[[], SignedNames | None],
    ) -> None:
        self._engine = engine
        self._bulk = bulk
        self._clock = clock
        self._patience = patience
        self._keeps_events = keeps_events
        self._signed = signed
        self._names = Names({}, {})
        self._lock = threading.Lock()

    def spool(self) -> Spool:
        """Return the reports that wait for the store of events."""
        return Spool(self._engine)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def add(self, reports: list[Report], now: int) -> None:
        """Take reports, all or none; when it returns, they are on disk.

        Raises:
            DatabaseAwayError: The database does not answer; perhaps the reports are on disk, and
                they may be added again.
            TooManyNamesError: They name new letters, and there is no room; none is on disk.
        """
        with self._writing() as connection:
            names = self._current_names(connection)
            fresh = self._first_seen(connection, reports, now)
            if not fresh:
                return
            if not all(map(names.knows, fresh)):
                names = self._new_names(names, fresh).write(connection)
            changes = Changes()
            self._bulk.write(connection, self._replay(connection, fresh, names, now, changes))
            rollups.apply(connection, changes, names, now)
            rollups.count_received(connection, len(fresh), now)
            if self._keeps_events:
                body = zlib.compress(encode_reports(fresh, now), 1)
                connection.execute(
                    spool.insert().values(hour=now // HOUR, reports=len(fresh), body=body)
                )
        with self._lock:
            if names.revision > self._names.revision:
                self._names = names

    def unsigned_names(self, reports: list[Report]) -> int:
        """Return how many new names of reports would get a number that no signed document names.

        It asks no database, so it may be too many.

        Raises:
            TooManyNamesError: There is no room for them.
        """
        with self._lock:
            names = self._names
        if names.revision < 0 or all(map(names.knows, reports)):
            return 0
        return self._new_names(names, reports).unsigned

    def forget(self, ids: Sequence[str], now: int) -> None:
        """Delete what is known of ids, as if they had never reported.

        The store of events forgets them when it next rewrites its files.

        Raises:
            TooManyDeletionsError: The store of events has too much to forget already for ids of
                which nothing is known here; all others are deleted.
        """
        unique = sorted(set(ids))
        with self._writing() as connection:
            rows = self._bulk.read(connection, unique)
            changes = Changes()
            for row in rows.values():
                forget(row, now, changes)
            self._bulk.delete(connection, list(rows))
            rollups.apply(connection, changes, self._current_names(connection), now)
            if not self._keeps_events:
                return
            waiting = connection.scalar(sa.select(sa.func.count()).select_from(deletions)) or 0
            unknown = [one for one in unique if one not in rows]
            # Strangers can make up unknown ids only.
            taken = unknown[: max(0, _MOST_DELETIONS - waiting)]
            bound = [self._bulk.bind(one) for one in (*rows, *taken)]
            if bound:
                connection.execute(deletions.delete().where(deletions.c.id.in_(bound)))
                connection.execute(deletions.insert(), [{"id": one, "time": now} for one in bound])
        if len(taken) < len(unknown):
            raise TooManyDeletionsError(
                "Too many ids wait to be forgotten",
                hint="See whether the store of events works",
            )

    def prune(self, now: int, days: int) -> None:
        """Forget ids of which nothing was heard for some days, old nonces and old history.

        Where names are scarce, those go that were not heard for as long.
        """
        before = now - days * 86_400
        with self._writing() as connection:
            retention.drop_nonces(connection, now)
            retention.fold_history(connection, now)
        more = True
        while more:
            with self._writing() as connection:
                changes = Changes()
                more = retention.drop_states(connection, before, now, changes)
                rollups.apply(connection, changes, self._current_names(connection), now)
        with self._writing() as connection:
            drop_names(connection, self._current_names(connection), self._signed(), before)

    def products(self) -> list[str]:
        """Return the products of which there are reports, in order."""
        with self._reading() as (_, names):
            return names.products()

    def outcomes(self, product: str, since: int = 0) -> list[Outcome]:
        """Return what became of each letter that was staged since a time, by letter and ring."""
        silent_before = int(self._clock()) - self._patience
        with self._reading() as (connection, names):
            return answers.outcomes(connection, names, product, since, silent_before)

    def adoption(self, product: str, since: int, most: int | None = None) -> list[Adoption]:
        """Return the adoption of each letter by the hour, oldest first.

        Args:
            product: The product.
            since: The first hour, in seconds since 1970.
            most: Lines after which no further hour begins; None for no end.
        """
        found: list[Adoption] = []
        with self._reading() as (connection, names):
            now = int(self._clock())
            for line in answers.adoptions(connection, names, product, since, now):
                if most is not None and len(found) >= most and line.time != found[-1].time:
                    break
                found.append(line)
        return found

    def failures(self, product: str, since: int = 0) -> list[FailureGroup]:
        """Return the failures, the largest group first."""
        with self._reading() as (connection, names):
            return answers.failures(connection, names, product, since)

    def received(self, since: int) -> dict[int, int]:
        """Return how many reports came in each hour from a time on, by the start of the hour."""
        with self._reading() as (connection, _):
            return answers.received_since(connection, since)

    def find(self, identity: str) -> list[DeviceState]:
        """Return what is known of an id."""
        with self._reading() as (connection, names):
            rows = self._bulk.read(connection, [identity])
        return [_device_state(key, row, names) for key, row in rows.items()]

    def _first_seen(
        self, connection: sa.Connection, reports: list[Report], now: int
    ) -> list[Report]:
        """Return the reports whose nonces are new, each once."""
        numbers = [_nonce_number(report.nonce) for report in reports]
        fresh = self._bulk.claim(connection, sorted(set(numbers)), now // HOUR)
        first = []
        for number, report in zip(numbers, reports, strict=True):
            if number in fresh:
                fresh.remove(number)
                first.append(report)
        return first

    def _replay(
        self,
        connection: sa.Connection,
        reports: list[Report],
        names: Names,
        now: int,
        changes: Changes,
    ) -> dict[str, Row]:
        """Carry out reports in their order; return the rows that they change."""
        keys = {report.device or report.id for report in reports} - {""}
        before = self._bulk.read(connection, sorted(keys))
        rows = dict(before)
        for report in reports:
            key = report.device or report.id
            if report.kind != "count":
                event = _event(report, names, now)
                old = rows.get(key)
                new = after_event(
                    old, event, device=bool(report.device), changes=changes, patience=self._patience
                )
                if not report.device:
                    move_anonymous(old, new, int(report.nonce[-12:], 16) / 16**12, changes)
                rows[key] = new
            elif key:
                rows[key] = after_count(rows.get(key), _count(report, names, now), changes)
            else:
                count_anonymous(_count(report, names, now), changes)
        return {key: row for key, row in sorted(rows.items()) if before.get(key) is not row}

    def _current_names(self, connection: sa.Connection) -> Names:
        """Return the dictionaries, read again if any process has changed them."""
        revision = connection.scalar(sa.select(revisions.c.number))
        with self._lock:
            if self._names.revision != revision:
                self._names = Names.read(connection)
            return self._names

    def _new_names(self, names: Names, reports: list[Report]) -> NewNames:
        new = NewNames(names, self._signed())
        for index, report in enumerate(reports):
            new.include(index, report)
        return new

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with write_transaction(self._engine) as connection:
            self._bulk.lock(connection)
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[tuple[sa.Connection, Names]]:
        with as_fleet_errors(), self._engine.connect() as connection, connection.begin():
            yield connection, self._current_names(connection)


def _nonce_number(nonce: str) -> int:
    """Return half of a nonce, which is random enough, as a number that databases take."""
    return int(nonce[:16], 16) - 2**63


def _event(report: Report, names: Names, now: int) -> Event:
    return Event(
        names.letter(report), status_of(report), now - report.age,
        names.word("ring", report.ring), names.word("agent", report.agent), now,
    )  # fmt: skip


def _count(report: Report, names: Names, now: int) -> Count:
    return Count(
        names.letter(report), letter_number(report.staged), report.exposed, now,
        names.word("ring", report.ring), names.word("agent", report.agent),
    )  # fmt: skip


def _device_state(identity: str, row: Row, names: Names) -> DeviceState:
    is_count = not row.status or row.reported > row.event_time
    letter = row.in_force if is_count else row.letter
    about = names.by_number.get(letter, _UNKNOWN)
    staged = letter_text(row.staged) if is_count else ""
    return DeviceState(
        id=identity,
        is_device=bool(row.flags & DEVICE),
        letter=about,
        in_force=names.by_number.get(row.in_force),
        ring=names.word_of("ring", row.ring),
        kind="count" if is_count else kind_of(row.status),
        failure=None if is_count else failure_of(row.status),
        # What an earlier count said has happened or failed since.
        staged=about.letter if row.status == STAGED and not is_count else staged,
        exposed=row.exposed,
        agent=names.word_of("agent", row.agent),
        reported=row.reported,
    )
