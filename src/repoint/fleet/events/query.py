"""Ask the store of events with SQL."""

from __future__ import annotations

import tempfile
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

from repoint.fleet.events.file_names import readable_files
from repoint.fleet.events.objects import ObjectStore
from repoint.fleet.events.parquet import create_view, open_duckdb
from repoint.model.errors import RepointError


class QueryError(RepointError):
    """The query cannot be carried out."""


class Table(NamedTuple):
    """What a query returned."""

    columns: list[str]
    rows: list[tuple[Any, ...]]


def query(objects: ObjectStore, sql: str, first: date, last: date) -> Table:
    """Run a query on the view ``events`` of some days; a copy of their files is read.

    Args:
        objects: The store of events.
        sql: The query, in DuckDB's SQL.
        first: The first day, in UTC.
        last: The last day, in UTC.

    Raises:
        QueryError: The query is wrong.
        EventStoreError: The store does not answer.
    """
    import duckdb

    files = [one for one in readable_files(objects.names())[0] if first <= one.date <= last]
    with tempfile.TemporaryDirectory(prefix="repoint-events.") as folder, open_duckdb() as db:
        paths = [Path(folder) / f"{number}.parquet" for number in range(len(files))]
        for path, file in zip(paths, files, strict=True):
            path.write_bytes(objects.read(file.name))
        create_view(db, paths)
        try:
            found = db.execute(sql)
            columns = [column[0] for column in found.description or ()]
            return Table(columns, found.fetchall())
        except duckdb.Error as error:
            raise QueryError(
                f"The query failed: {str(error).strip().splitlines()[0]}",
                hint="The view events has the columns of docs/fleet-operators.md",
            ) from None
