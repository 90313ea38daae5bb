"""The errors of a database's driver as errors that people can act on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from repoint.fleet.stores.errors import DatabaseAwayError


@contextmanager
def as_fleet_errors() -> Iterator[None]:
    """Turn errors of the database into `DatabaseAwayError`."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        lines = str(cause).strip().splitlines()
        raise DatabaseAwayError(
            f"The database failed: {lines[0] if lines else type(cause).__name__}",
            hint="See whether it runs, has space on its disk and lets this account in",
        ) from error


@contextmanager
def write_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Write in one transaction, which locks first and is committed at the end of the block.

    Raises:
        DatabaseAwayError: The database failed; nothing was written.
    """
    with (
        as_fleet_errors(),
        engine.connect().execution_options(writes=True) as connection,
        connection.begin(),
    ):
        yield connection
