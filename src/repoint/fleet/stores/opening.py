"""Open a fleet's state by its address, and create or update its tables."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError

from repoint.fleet.records import SignedNames
from repoint.fleet.stores.bulk import Bulk, PostgreSQL, SQLite
from repoint.fleet.stores.errors import DatabaseAddressError
from repoint.fleet.stores.failures import as_fleet_errors, without_password
from repoint.fleet.stores.migrations.migrate import migrate
from repoint.fleet.stores.state import SqlState
from repoint.fleet.stores.transitions import PATIENCE

_HINT: Final = "Write sqlite:////var/lib/repoint-fleet/fleet.db or postgresql://USER@HOST/DATABASE"


def open_state(
    url: str,
    *,
    clock: Callable[[], float] = time.time,
    patience: int = PATIENCE,
    keeps_events: bool = False,
    signed: Callable[[], SignedNames | None] = lambda: None,
) -> SqlState:
    """Open the state of a fleet; create or update its tables if they are not up to date.

    Args:
        url: ``sqlite:///PATH``, or ``postgresql://…`` as libpq takes it.
        clock: The time of queries, in seconds since 1970.
        patience: Seconds after which a device that has staged a letter, and reported nothing
            since, is silent.
        keeps_events: Whether reports are spooled for a store of events, which takes them from
            there.
        signed: Returns what signed documents name; None if nobody knows.

    Raises:
        DatabaseAddressError: The address names no such database.
        DatabaseAwayError: The database does not answer.
        DatabaseTooNewError: A newer version of Repoint has changed the tables.
    """
    try:
        address = sa.make_url(url)
    except (ArgumentError, ValueError):  # a port that is no number is the latter
        raise DatabaseAddressError(
            f"{without_password(url)[:80]!r} is no address of a database", hint=_HINT
        ) from None
    bulk: Bulk
    if address.drivername == "sqlite":
        engine, bulk = _sqlite(address), SQLite()
    elif address.drivername in ("postgresql", "postgres"):
        engine, bulk = _postgresql(address), PostgreSQL()
    else:
        raise DatabaseAddressError(
            f"{address.drivername[:80]!r} is no kind of database that a fleet can use",
            hint=_HINT,
        )
    try:
        with as_fleet_errors():
            migrate(engine, bulk)
    except BaseException:
        engine.dispose()
        raise
    return SqlState(
        engine, bulk, clock=clock, patience=patience, keeps_events=keeps_events, signed=signed
    )


def _sqlite(address: sa.URL) -> sa.Engine:
    if not address.database or address.database == ":memory:":
        raise DatabaseAddressError("The address names no file", hint=_HINT)
    _create_private(Path(address.database))
    engine = sa.create_engine(
        address, connect_args={"timeout": 30, "isolation_level": None}, query_cache_size=200
    )

    @event.listens_for(engine, "connect")
    def _prepare(connection: sqlite3.Connection, _: Any) -> None:
        # FULL, so that what is committed outlives a power cut.
        for setting in ("journal_mode = WAL", "synchronous = FULL", "cache_size = -65536"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        # A transaction that reads first and writes later can fail; one that locks first waits.
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _create_private(path: Path) -> None:
    """Create the file of a database for its owner only, and take other accounts' rights away.

    Whoever may read it can lock it, and knows the ids. SQLite gives the files beside it its mode.
    """
    if not path.parent.is_dir():
        # A slip in the address must not make a second, empty fleet elsewhere.
        raise DatabaseAddressError(
            f"The folder {path.parent} of the database does not exist",
            hint="Create it, or correct the address",
        )
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
        for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            with contextlib.suppress(FileNotFoundError):
                if name.stat().st_mode & 0o077:
                    name.chmod(0o600)
    except OSError as error:
        raise DatabaseAddressError(
            f"{path} cannot be used as a database: {error.strerror}",
            hint="Name a file that this account may write",
        ) from error


def _postgresql(address: sa.URL) -> sa.Engine:
    return sa.create_engine(
        address.set(drivername="postgresql+psycopg"),
        pool_size=4,
        max_overflow=8,
        pool_pre_ping=True,
        pool_timeout=5,
        connect_args={"connect_timeout": 5, "application_name": "repoint fleet"},
    )


class Opened:
    """A state that is opened when it is first asked for, and again until that succeeds.

    Args:
        url: See `open_state`.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._state: SqlState | None = None

    def __call__(self) -> SqlState:
        """Return the state.

        Raises:
            FleetStoreError: It cannot be opened.
        """
        if self._state is None:
            self._state = open_state(self._url)
        return self._state
