"""Apply what reports change to the roll-ups."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from repoint.fleet.stores.names import Names
from repoint.fleet.stores.rollups.moves import add_moves
from repoint.fleet.stores.tables import adoption, received, tallies
from repoint.fleet.stores.transitions import HOUR, Changes


def apply(connection: sa.Connection, changes: Changes, names: Names, now: int) -> None:
    """Add changes to the roll-ups."""
    add_moves(connection, changes, names, now)
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
        statement = insert_into(connection, tallies)
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
        statement = insert_into(connection, adoption)
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
    statement = insert_into(connection, received).values(hour=now // HOUR, reports=reports)
    connection.execute(
        statement.on_conflict_do_update(
            index_elements=[received.c.hour],
            set_={"reports": received.c.reports + statement.excluded.reports},
        )
    )


def insert_into(connection: sa.Connection, table: sa.Table) -> Any:
    """Return a statement that inserts rows, or changes those that are there."""
    return (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(table)
