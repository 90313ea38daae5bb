"""The statements that handle thousands of rows; each database has its own way to do so quickly."""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import sqlalchemy as sa

from repoint.fleet.stores.transitions import Row

_FIELDS: Final = tuple(field.name for field in dataclasses.fields(Row))
_COLUMNS: Final = ", ".join(_FIELDS)
_UPDATE: Final = ", ".join(f"{name} = excluded.{name}" for name in _FIELDS)

_PARAMETERS: Final = 30_000
"""Parameters in one statement of SQLite, which permits 32,766 by default."""


class Bulk(Protocol):
    """What differs between the databases. Ids are 32 hexadecimal digits."""

    def lock(self, connection: sa.Connection) -> None:
        """Wait until no other transaction writes; from then on, none does until this one ends."""

    def claim(self, connection: sa.Connection, nonces: Sequence[int], hour: int) -> set[int]:
        """Note nonces, and return those that were not known."""

    def read(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of those ids that have one."""

    def write(self, connection: sa.Connection, rows: Mapping[str, Row]) -> None:
        """Insert or replace rows."""

    def delete(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        """Delete the rows of ids."""

    def bind(self, identity: str) -> object:
        """Return an id as the database stores it."""


class SQLite:
    """The statements of SQLite."""

    def lock(self, connection: sa.Connection) -> None:
        """Do nothing: the transaction began with the lock."""

    def claim(self, connection: sa.Connection, nonces: Sequence[int], hour: int) -> set[int]:
        """Note nonces, and return those that were not known."""
        fresh: set[int] = set()
        for chunk in _chunks(nonces, 10_000):
            values = ", ".join(f"(?, {hour})" for _ in chunk)
            result = connection.exec_driver_sql(
                f"INSERT INTO nonces (nonce, hour) VALUES {values} "  # noqa: S608 (no text)
                "ON CONFLICT DO NOTHING RETURNING nonce",
                tuple(chunk),
            )
            fresh.update(row[0] for row in result)
        return fresh

    def read(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of those ids that have one."""
        found: dict[str, Row] = {}
        for chunk in _chunks(ids, _PARAMETERS):
            marks = ", ".join("?" * len(chunk))
            result = connection.exec_driver_sql(
                f"SELECT id, {_COLUMNS} FROM states WHERE id IN ({marks})",  # noqa: S608 (no text)
                tuple(bytes.fromhex(one) for one in chunk),
            )
            found |= {bytes(row[0]).hex(): Row(*row[1:]) for row in result}
        return found

    def write(self, connection: sa.Connection, rows: Mapping[str, Row]) -> None:
        """Insert or replace rows."""
        if rows:
            marks = ", ".join("?" * (1 + len(_FIELDS)))
            connection.exec_driver_sql(
                f"INSERT INTO states (id, {_COLUMNS}) VALUES ({marks}) "  # noqa: S608 (no text)
                f"ON CONFLICT (id) DO UPDATE SET {_UPDATE}",
                [(bytes.fromhex(key), *_values(row)) for key, row in rows.items()],
            )

    def delete(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        """Delete the rows of ids."""
        if ids:
            connection.exec_driver_sql(
                "DELETE FROM states WHERE id = ?", [(bytes.fromhex(one),) for one in ids]
            )

    def bind(self, identity: str) -> object:
        """Return an id as the database stores it."""
        return bytes.fromhex(identity)


class PostgreSQL:
    """The statements of PostgreSQL: one array for each column, so that each is parsed once."""

    _LOCK = 7_306_085_893_296_906_610
    """Any number that no other program uses for its locks."""

    def lock(self, connection: sa.Connection) -> None:
        """Wait until no other transaction writes; from then on, none does until this one ends."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(%s)", (self._LOCK,))

    def claim(self, connection: sa.Connection, nonces: Sequence[int], hour: int) -> set[int]:
        """Note nonces, and return those that were not known."""
        result = connection.exec_driver_sql(
            "INSERT INTO nonces (nonce, hour) SELECT n, %s FROM unnest(%s::bigint[]) n "
            "ON CONFLICT DO NOTHING RETURNING nonce",
            (hour, list(nonces)),
        )
        return {row[0] for row in result}

    def read(self, connection: sa.Connection, ids: Sequence[str]) -> dict[str, Row]:
        """Return the rows of those ids that have one."""
        result = connection.exec_driver_sql(
            f"SELECT id, {_COLUMNS} FROM states WHERE id = ANY(%s::uuid[])",  # noqa: S608 (no text)
            (list(ids),),
        )
        return {row[0].hex: Row(*row[1:]) for row in result}

    def write(self, connection: sa.Connection, rows: Mapping[str, Row]) -> None:
        """Insert or replace rows."""
        if not rows:
            return
        columns: list[list[Any]] = [list(rows)]
        columns += [list(column) for column in zip(*map(_values, rows.values()), strict=True)]
        arrays = ", ".join(["%s::uuid[]", *["%s::int[]"] * len(_FIELDS)])
        connection.exec_driver_sql(
            f"INSERT INTO states (id, {_COLUMNS}) SELECT * FROM unnest({arrays}) "  # noqa: S608 (no text)
            f"ON CONFLICT (id) DO UPDATE SET {_UPDATE}",
            tuple(columns),
        )

    def delete(self, connection: sa.Connection, ids: Sequence[str]) -> None:
        """Delete the rows of ids."""
        connection.exec_driver_sql("DELETE FROM states WHERE id = ANY(%s::uuid[])", (list(ids),))

    def bind(self, identity: str) -> object:
        """Return an id as the database stores it."""
        return uuid.UUID(identity)


def _values(row: Row) -> tuple[int, ...]:
    return (
        row.letter, row.event_time, row.since, row.in_force, row.reported, row.status, row.flags,
        row.staged, row.exposed, row.ring, row.agent,
    )  # fmt: skip


def _chunks(values: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), size):
        yield values[start : start + size]
