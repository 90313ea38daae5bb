"""Forget names that somebody has made up and that nothing uses any more.

This reads the rows of all ids, so it happens only when names are scarce. What signed documents name
is never forgotten.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import sqlalchemy as sa

from repoint.fleet.records import SignedNames
from repoint.fleet.stores.names import Names, Subject
from repoint.fleet.stores.new_names import NewNames, note_change
from repoint.fleet.stores.rollups.changes import insert_into
from repoint.fleet.stores.tables import adoption, letters, states, tallies, words
from repoint.fleet.stores.transitions import HOUR

_PART: Final = 10_000
"""Names in one statement. SQLite permits 32,766 parameters by default."""


def drop_names(
    connection: sa.Connection, names: Names, signed: SignedNames | None, before: int
) -> None:
    """Forget names of which nothing was heard since a time, where half of their room is taken."""
    room = NewNames(names, signed)
    scarce = [each for product in names.products() for each in room.scarce_letters(product)]
    gone = _unused(connection, scarce, _letters_in_use(before))
    for part in _parts(gone):
        for column in (tallies.c.letter, adoption.c.letter, letters.c.number):
            connection.execute(column.table.delete().where(column.in_(part)))
    rings = _unused(connection, room.scarce_words("ring"), _rings_in_use(before))
    agents = _unused(connection, room.scarce_words("agent"), sa.select(states.c.agent).distinct())
    if rings:
        _count_as_none(connection, rings)
    _drop_words(connection, "ring", rings)
    _drop_words(connection, "agent", agents)
    if gone or rings or agents:
        note_change(connection)


def _unused(connection: sa.Connection, numbers: Iterable[int], in_use: sa.Executable) -> list[int]:
    numbers = set(numbers)
    return sorted(numbers - set(connection.scalars(in_use))) if numbers else []


def _letters_in_use(before: int) -> sa.Executable:
    devices = sa.func.sum(adoption.c.devices)
    return sa.union(
        sa.select(states.c.letter),
        sa.select(states.c.in_force),
        sa.select(tallies.c.letter).where(tallies.c.devices > 0, tallies.c.last >= before),
        sa.select(adoption.c.letter).where(adoption.c.hour >= before // HOUR),
        sa.select(adoption.c.letter).group_by(adoption.c.letter).having(devices != 0),
    )


def _rings_in_use(before: int) -> sa.Executable:
    return sa.union(
        sa.select(states.c.ring),
        sa.select(tallies.c.ring).where(tallies.c.devices > 0, tallies.c.last >= before),
    )


def _count_as_none(connection: sa.Connection, rings: list[int]) -> None:
    """Count what was in some rings as in none: another ring may get the number."""
    key = (tallies.c.letter, tallies.c.status, tallies.c.bucket)
    statement: Any = insert_into(connection, tallies).from_select(
        [tallies.c.ring, *key, tallies.c.devices, tallies.c.first, tallies.c.last],
        sa.select(sa.literal(0), *key, sa.func.sum(tallies.c.devices),
                  sa.func.min(tallies.c.first), sa.func.max(tallies.c.last))
        .where(tallies.c.ring.in_(rings)).group_by(*key),
    )  # fmt: skip
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(tallies.primary_key.columns),
            set_={"devices": tallies.c.devices + statement.excluded.devices},
        )
    )
    connection.execute(tallies.delete().where(tallies.c.ring.in_(rings)))


def _drop_words(connection: sa.Connection, subject: Subject, numbers: list[int]) -> None:
    for part in _parts(numbers):
        connection.execute(
            words.delete().where(words.c.subject == subject, words.c.number.in_(part))
        )


def _parts(numbers: list[int]) -> Iterator[list[int]]:
    for start in range(0, len(numbers), _PART):
        yield numbers[start : start + _PART]
