"""Forget what is too old. Each function does a bounded part, so that reports need not wait."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from repoint.fleet.stores.tables import adoption, nonces, states, tallies
from repoint.fleet.stores.transitions import BUCKET, HOUR, Changes

NONCES: Final = 24
"""Hours for which a nonce is known. A report that is sent again later is rare, and counts at most
once more."""

HISTORY: Final = 400 * 24
"""Hours for which the roll-ups are kept: a year can be compared with the one before."""

_PART: Final = 2000


def drop_nonces(connection: sa.Connection, now: int) -> None:
    """Forget the nonces that are too old."""
    connection.execute(nonces.delete().where(nonces.c.hour < now // HOUR - NONCES))


def drop_states(connection: sa.Connection, before: int, now: int, changes: Changes) -> bool:
    """Forget some ids of which nothing was heard since a time; return whether there may be more.

    A device leaves the adoption; what became of letters stays in the tallies.
    """
    columns = (states.c.id, states.c.in_force, states.c.exposed)
    rows = connection.execute(
        sa.select(*columns).where(states.c.reported < before).limit(_PART)
    ).all()
    if rows:
        connection.execute(states.delete().where(states.c.id.in_([row.id for row in rows])))
    for row in rows:
        if row.in_force:
            changes.adopt(row.in_force, now // HOUR, -1, -int(row.exposed > 0))
    return len(rows) == _PART


def fold_history(connection: sa.Connection, now: int) -> None:
    """Forget the roll-ups that are too old. The adoption is a running sum, so its start stays."""
    limit = now // HOUR - HISTORY
    connection.execute(tallies.delete().where(tallies.c.bucket < limit * HOUR // BUCKET))
    old = adoption.c.hour < limit
    sums = connection.execute(
        sa.select(adoption.c.letter, sa.func.sum(adoption.c.devices).label("devices"),
                  sa.func.sum(adoption.c.exposed).label("exposed"))
        .where(old).group_by(adoption.c.letter)
    ).all()  # fmt: skip
    connection.execute(adoption.delete().where(old))
    insert = (sqlite if connection.dialect.name == "sqlite" else postgresql).insert(adoption)
    for row in sums:
        if row.devices or row.exposed:
            connection.execute(
                insert.values(letter=row.letter, hour=limit, devices=int(row.devices),
                              exposed=int(row.exposed))
                .on_conflict_do_update(
                    index_elements=list(adoption.primary_key.columns),
                    set_={"devices": adoption.c.devices + insert.excluded.devices,
                          "exposed": adoption.c.exposed + insert.excluded.exposed},
                )
            )  # fmt: skip
