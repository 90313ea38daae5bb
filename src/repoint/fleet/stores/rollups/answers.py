"""What people look at, from the roll-ups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa

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
from repoint.fleet.stores.tables import adoption, letters, received, tallies
from repoint.fleet.stores.transitions import BUCKET, HOUR

_FIRST_FAILURE: Final = 10
_STATUSES: Final = (STAGED, CONFIRMED, EVER_STAGED, LATE, *FAILURES.values())
_FEW: Final = 20
"""Rings. Of more, a database reads the tallies in one go faster than one by one."""
_LISTED: Final = 1000
"""Letters that a statement lists. More than 32,766 would be too many for SQLite."""


def received_since(connection: sa.Connection, since: int) -> dict[int, int]:
    """Return how many reports came in each hour, by the start of the hour."""
    query = sa.select(received.c.hour, received.c.reports).where(received.c.hour >= since // HOUR)
    return {row[0] * HOUR: row[1] for row in connection.execute(query)}


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
    start = sa.case((adoption.c.hour < first, first), else_=adoption.c.hour)
    query = (
        sa.select(adoption.c.letter, start, sa.func.sum(adoption.c.devices),
                  sa.func.sum(adoption.c.exposed))
        .where(_of_product(adoption.c.letter, names, product), adoption.c.hour <= last)
        .group_by(adoption.c.letter, start)
    )  # fmt: skip
    steps: dict[int, list[tuple[int, int, int]]] = defaultdict(list)
    for letter, hour, devices, exposed in connection.execute(query):
        steps[hour].append((letter, int(devices), int(exposed)))
    if not steps:
        return
    current: dict[int, list[int]] = {}
    order = {number: _letter_order(names.by_number[number]) for number in names.of(product)}
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
    return sorted(
        found, key=lambda one: (-one.devices, _letter_order(one.letter), one.failure, one.ring)
    )


def _since(
    names: Names, product: str, since: int, statuses: Iterable[int]
) -> list[sa.ColumnElement[bool]]:
    """Return the conditions of the tallies of a product since a time.

    They name all values of the columns that come first in the key. So a database finds the buckets
    of the time directly, and does not read those of years.
    """
    conditions = [
        _of_product(tallies.c.letter, names, product),
        tallies.c.status.in_(list(statuses)),
        tallies.c.bucket >= -(-since // BUCKET),
    ]
    rings = names.rings()
    return [*conditions, tallies.c.ring.in_(rings)] if len(rings) <= _FEW else conditions


def _of_product(
    column: sa.ColumnElement[int], names: Names, product: str
) -> sa.ColumnElement[bool]:
    """Return the condition that a letter belongs to a product."""
    numbers = names.of(product)
    if len(numbers) <= _LISTED:
        return column.in_(numbers)
    return column.in_(
        sa.select(letters.c.number).where(
            letters.c.product == product, letters.c.number <= max(numbers)
        )
    )


def _letter_order(name: LetterName) -> tuple[Any, ...]:
    return name.product, name.platform, name.version, name.build, len(name.letter), name.letter
