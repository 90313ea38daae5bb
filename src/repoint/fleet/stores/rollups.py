"""The roll-ups in the database: apply changes, and answer what people look at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from repoint.fleet.records import Adoption, FailureGroup, LetterName, Outcome
from repoint.fleet.stores.codes import (
    CONFIRMED,
    EVER_STAGED,
    FAILURES,
    LATE,
    STAGED,
    failure_of,
    is_after_staging,
    is_transient,
)
from repoint.fleet.stores.names import Names
from repoint.fleet.stores.tables import adoption, received, tallies
from repoint.fleet.stores.transitions import BUCKET, HOUR, Changes

_FIRST_FAILURE: Final = 10
_STATUSES: Final = (STAGED, CONFIRMED, EVER_STAGED, LATE, *FAILURES.values())
_FEW: Final = 20
"""Rings. Of more, a database reads the tallies in one go faster than one by one."""


def apply(connection: sa.Connection, changes: Changes, names: Names, now: int) -> None:
    """Add changes to the roll-ups."""
    _add_moves(connection, changes, names, now)
    # In the order of the keys, so that no two transactions wait for each other.
    rows: list[dict[str, Any]] = [
        {"letter": key[0], "ring": key[1], "status": key[2], "bucket": key[3],
         "devices": entry[0], "first": entry[1], "last": entry[2]}
        for key, entry in sorted(changes.tallies.items()) if entry[0]
    ]  # fmt: skip
    if rows:
        on_sqlite = connection.dialect.name == "sqlite"
        least, greatest = (sa.func.min, sa.func.max) if on_sqlite else (
            sa.func.least, sa.func.greatest)  # fmt: skip
        statement = _insert(connection, tallies)
        new = statement.excluded
        adds = new.devices > 0
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(tallies.primary_key.columns),
                set_={
                    "devices": tallies.c.devices + new.devices,
                    "first": sa.case((adds, least(tallies.c.first, new.first)),
                                     else_=tallies.c.first),
                    "last": sa.case((adds, greatest(tallies.c.last, new.last)),
                                    else_=tallies.c.last),
                },
            ),
            rows,
        )  # fmt: skip
    rows = [
        {"letter": key[0], "hour": key[1], "devices": entry[0], "exposed": entry[1]}
        for key, entry in sorted(changes.adoption.items()) if any(entry)
    ]  # fmt: skip
    if rows:
        statement = _insert(connection, adoption)
        new = statement.excluded
        connection.execute(
            statement.on_conflict_do_update(
                index_elements=list(adoption.primary_key.columns),
                set_={
                    "devices": adoption.c.devices + new.devices,
                    "exposed": adoption.c.exposed + new.exposed,
                },
            ),
            rows,
        )


def count_received(connection: sa.Connection, reports: int, now: int) -> None:
    """Note that reports came."""
    statement = _insert(connection, received).values(hour=now // HOUR, reports=reports)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[received.c.hour],
            set_={"reports": received.c.reports + statement.excluded.reports},
        )
    )


def received_since(connection: sa.Connection, since: int) -> dict[int, int]:
    """Return how many reports came in each hour, by the start of the hour."""
    query = sa.select(received.c.hour, received.c.reports).where(received.c.hour >= since // HOUR)
    return {row[0] * HOUR: row[1] for row in connection.execute(query)}


def in_force(connection: sa.Connection, numbers: Sequence[int], hour: int) -> dict[int, int]:
    """Return how many devices have each of some letters in force in an hour."""
    query = (
        sa.select(adoption.c.letter, sa.func.sum(adoption.c.devices))
        .where(adoption.c.letter.in_(numbers), adoption.c.hour <= hour)
        .group_by(adoption.c.letter)
    )
    return {row[0]: int(row[1]) for row in connection.execute(query)}


def outcomes(
    connection: sa.Connection, names: Names, product: str, since: int, silent_before: int
) -> list[Outcome]:
    """Return what became of each letter, by letter and ring."""
    waits_long = tallies.c.bucket < silent_before // BUCKET
    query = (
        sa.select(tallies.c.letter, tallies.c.ring, tallies.c.status, waits_long,
                  sa.func.sum(tallies.c.devices))
        .where(*_since(names, product, since, _STATUSES))
        .group_by(tallies.c.letter, tallies.c.ring, tallies.c.status, waits_long)
    )  # fmt: skip
    counts: dict[tuple[int, int], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for letter, ring, status, long, devices in connection.execute(query):
        entry = counts[(letter, ring)]
        if status == EVER_STAGED:
            entry["staged"] += devices
            entry["tried"] += devices
            entry["waited"] += devices if long else 0
        elif status == LATE:
            entry["late"] += devices
        elif status == CONFIRMED:
            entry["confirmed"] += devices
        elif status == STAGED:
            entry["silent"] += devices if long else 0
        elif is_transient(status):
            entry["transient"] += devices
        elif status >= _FIRST_FAILURE:
            entry["failed"] += devices
            entry["tried"] += 0 if is_after_staging(status) else devices
    found = [
        Outcome(names.by_number[letter], names.word_of("ring", ring),
                *(max(0, entry[name]) for name in
                  ("tried", "staged", "confirmed", "failed", "transient", "waited", "silent",
                 "late")))
        for (letter, ring), entry in counts.items() if any(entry.values())
    ]  # fmt: skip
    return sorted(found, key=lambda one: (_letter_order(one.letter), one.ring))


def adoptions(
    connection: sa.Connection, names: Names, product: str, since: int, now: int
) -> Iterator[Adoption]:
    """Yield the adoption of each letter by the hour, oldest first."""
    first, last = since // HOUR, now // HOUR
    numbers = _of_product(names, product)
    start = sa.case((adoption.c.hour < first, first), else_=adoption.c.hour)
    query = (
        sa.select(adoption.c.letter, start, sa.func.sum(adoption.c.devices),
                  sa.func.sum(adoption.c.exposed))
        .where(adoption.c.letter.in_(numbers), adoption.c.hour <= last)
        .group_by(adoption.c.letter, start)
    )  # fmt: skip
    steps: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for letter, hour, devices, exposed in connection.execute(query):
        steps[hour].append((letter, int(devices), int(exposed)))
    if not steps:
        return
    current: dict[int, list[int]] = {}
    order = {number: _letter_order(names.by_number[number]) for number in numbers}
    for hour in range(max(first, min(steps)), last + 1):
        for letter, devices, exposed in steps.get(hour, ()):
            entry = current.setdefault(letter, [0, 0])
            entry[0] += devices
            entry[1] += exposed
        for letter in sorted(current, key=order.__getitem__):
            devices, exposed = current[letter]
            if devices > 0:
                exposed = min(max(0, exposed), devices)
                yield Adoption(hour * HOUR, names.by_number[letter], devices, exposed)


def failures(
    connection: sa.Connection, names: Names, product: str, since: int
) -> list[FailureGroup]:
    """Return the failures, the largest group first."""
    devices = sa.func.sum(tallies.c.devices)
    query = (
        sa.select(tallies.c.letter, tallies.c.ring, tallies.c.status, devices,
                  sa.func.min(tallies.c.first), sa.func.max(tallies.c.last))
        .where(*_since(names, product, since, FAILURES.values()), tallies.c.devices > 0)
        .group_by(tallies.c.letter, tallies.c.ring, tallies.c.status)
    )  # fmt: skip
    found = []
    for letter, ring, status, count, first, last in connection.execute(query):
        failure = failure_of(status)
        if failure is not None:
            name = names.by_number[letter]
            found.append(
                FailureGroup(name, names.word_of("ring", ring), failure, int(count), first, last)
            )
    return sorted(found, key=lambda one: (-one.devices, _letter_order(one.letter), one.failure))


def _since(
    names: Names, product: str, since: int, statuses: Iterable[int]
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the tallies of a product since a time.

    They name all values of the columns that come first in the key. So a database finds the buckets
    of the time directly, and does not read those of years.
    """
    conditions = [
        tallies.c.letter.in_(_of_product(names, product)),
        tallies.c.status.in_(list(statuses)),
        tallies.c.bucket >= -(-since // BUCKET),
    ]
    rings = names.rings()
    return [*conditions, tallies.c.ring.in_(rings)] if len(rings) <= _FEW else conditions


def _of_product(names: Names, product: str) -> list[int]:
    return [number for number, name in names.by_number.items() if name.product == product]


def _letter_order(name: LetterName) -> tuple[Any, ...]:
    return name.product, name.platform, name.version, name.build, len(name.letter), name.letter


def _add_moves(connection: sa.Connection, changes: Changes, names: Names, now: int) -> None:
    """Move devices to letters, each from the earlier letter that most devices have in force."""
    counts: dict[int, int] = {}
    for move in changes.moves:
        earlier = names.siblings(move.letter)
        unknown = [number for number in earlier if number not in counts]
        if unknown:
            counts |= dict.fromkeys(unknown, 0) | in_force(connection, unknown, now // HOUR)
            for (letter, hour), entry in changes.adoption.items():
                if letter in unknown and hour <= now // HOUR:
                    counts[letter] += entry[0]
        changes.adopt(move.letter, move.hour, 1, 0)
        changes.adopt(move.letter, move.until, -1, 0)
        if move.letter in counts:
            counts[move.letter] += 1
        source = max(earlier, key=lambda number: (counts[number], number), default=None)
        if source is not None and counts[source] > 0:
            counts[source] -= 1
            changes.adopt(source, move.hour, -1, 0)
            changes.adopt(source, move.until, 1, 0)


def _insert(connection: sa.Connection, table: sa.Table) -> Any:
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
