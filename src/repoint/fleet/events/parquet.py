"""Write, merge and read Parquet with DuckDB, which runs in this process and fetches nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from repoint.fleet.events.objects import EventStoreError
from repoint.model.printable import one_line

if TYPE_CHECKING:
    import duckdb


class UnreadableEventsError(EventStoreError):
    """A file of events is damaged, or there is no room to read it."""


_TEXTS: Final = (
    "kind", "product", "platform", "version", "build", "letter", "staged", "ring", "agent",
    "failure",
)  # fmt: skip

_HINT: Final = "Look for a damaged file among the events, and for space in the temporary folder"

_LINE: Final = {
    "received": "BIGINT", "time": "BIGINT", "exposed": "INTEGER", "id": "VARCHAR",
    "device": "VARCHAR", **dict.fromkeys(_TEXTS, "VARCHAR"),
}  # fmt: skip
"""The columns of a line of the spool."""

_SELECTED: Final = ", ".join(
    ["make_timestamp(received * 1000000) AS received", "make_timestamp(time * 1000000) AS time",
     *_TEXTS, "exposed", "try_cast(nullif(id, '') AS UUID) AS id",
     "try_cast(nullif(device, '') AS UUID) AS device"]
)  # fmt: skip

_ORDER: Final = (
    "product, platform, version, build, letter, kind, failure, ring, agent, time, events.id"
)
"""Equal values side by side, and times that grow, need the fewest bytes."""

_WRITTEN: Final = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 9, ROW_GROUP_SIZE 122880"


@contextmanager
def open_duckdb() -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a database in memory, with a folder for what does not fit.

    Raises:
        UnreadableEventsError: A file is damaged, or there is no room for temporary files.
    """
    import duckdb

    with tempfile.TemporaryDirectory(prefix="repoint-events.") as folder:
        connection = duckdb.connect(
            config={
                "autoinstall_known_extensions": "false",
                "autoload_known_extensions": "false",
                "memory_limit": "512MB",
                "threads": "1",
                "temp_directory": folder,
            }
        )
        try:
            yield connection
        except duckdb.Error as error:
            reason = one_line(str(error)).strip()[:200]
            raise UnreadableEventsError(
                f"Events cannot be read or written: {reason}", hint=_HINT
            ) from error
        finally:
            connection.close()


def from_lines(lines: bytes, forgotten: Mapping[str, int]) -> bytes:
    """Return lines of the spool as a file of Parquet.

    Args:
        lines: Lines of JSON.
        forgotten: Ids to leave out, with the time up to which.
    """
    with tempfile.TemporaryDirectory(prefix="repoint-events.") as folder, open_duckdb() as db:
        source, target = Path(folder) / "lines.json", Path(folder) / "events.parquet"
        source.write_bytes(lines)
        _add_forgotten(db, forgotten)
        columns = ", ".join(f"{name}: '{kind}'" for name, kind in _LINE.items())
        db.execute(
            f"CREATE VIEW events AS SELECT {_SELECTED} "  # noqa: S608 (no text from outside)
            f"FROM read_json('{source}', format='newline_delimited', columns={{{columns}}})"
        )
        return _written(db, target)


def merged(files: Sequence[bytes], forgotten: Mapping[str, int]) -> bytes:
    """Return several files as one, without some ids."""
    with tempfile.TemporaryDirectory(prefix="repoint-events.") as folder, open_duckdb() as db:
        paths = store_all(Path(folder), files)
        _add_forgotten(db, forgotten)
        create_view(db, paths)
        return _written(db, Path(folder) / "merged.parquet")


def has_any(file: bytes, forgotten: Mapping[str, int]) -> bool:
    """Return whether a file has an event of ids that are to be forgotten."""
    with tempfile.TemporaryDirectory(prefix="repoint-events.") as folder, open_duckdb() as db:
        _add_forgotten(db, forgotten)
        create_view(db, store_all(Path(folder), [file]))
        found = db.execute(f"SELECT 1 FROM {_FROM} WHERE {_IS_FORGOTTEN} LIMIT 1").fetchone()  # noqa: S608
        return found is not None


def store_all(folder: Path, files: Sequence[bytes]) -> list[Path]:
    """Write files to a folder, and return their paths."""
    paths = [folder / f"{number}.parquet" for number in range(len(files))]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    return paths


def create_view(db: duckdb.DuckDBPyConnection, paths: Sequence[Path]) -> None:
    """Make the view ``events`` of files; without any, it is empty."""
    if paths:
        listed = ", ".join(f"'{path}'" for path in paths)
        db.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet([{listed}])")  # noqa: S608
    else:
        columns = ", ".join(f"NULL::{kind} AS {name}" for name, kind in _LINE.items())
        db.execute(f"CREATE VIEW empty AS SELECT {columns}")
        db.execute(f"CREATE VIEW events AS SELECT {_SELECTED} FROM empty LIMIT 0")  # noqa: S608


_FROM: Final = (
    "events LEFT JOIN forgotten AS one ON one.id = events.id "
    "LEFT JOIN forgotten AS other ON other.id = events.device"
)
"""Two joins by one value each. One by either of two values would compare each row with each id."""

_IS_FORGOTTEN: Final = (
    "events.received <= make_timestamp("
    "greatest(coalesce(one.until, -1), coalesce(other.until, -1)) * 1000000)"
)


def _add_forgotten(db: duckdb.DuckDBPyConnection, forgotten: Mapping[str, int]) -> None:
    db.execute("CREATE TABLE forgotten (id UUID, until BIGINT)")
    # In one statement: one for each row takes a millisecond.
    db.execute(
        "INSERT INTO forgotten SELECT unnest($1::VARCHAR[])::UUID, unnest($2::BIGINT[])",
        [list(forgotten), list(forgotten.values())],
    )


def _written(db: duckdb.DuckDBPyConnection, target: Path) -> bytes:
    db.execute(
        f"COPY (SELECT events.* FROM {_FROM} WHERE NOT {_IS_FORGOTTEN} ORDER BY {_ORDER}) "  # noqa: S608
        f"TO '{target}' ({_WRITTEN})"
    )
    return target.read_bytes()
