"""The errors of a database's driver as errors that people can act on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from repoint.fleet.stores.errors import DatabaseAwayError

_BEFORE_HOST: Final = re.compile(r"([a-zA-Z][\w+.-]*://)?\S*@")
_PASSWORD: Final = re.compile(r"(?i)(password\s*=\s*)('[^']*'|[^\s&]+)")


def without_password(text: str) -> str:
    """Return a text for people, such as the address of a database, without account and password."""
    return _PASSWORD.sub(r"\1…", _BEFORE_HOST.sub(r"\1…@", text))


@contextmanager
def as_fleet_errors() -> Iterator[None]:
    """Turn errors of the database into `DatabaseAwayError`."""
    try:
        yield
    except SQLAlchemyError as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        lines = str(cause).strip().splitlines()
        reason = without_password(lines[0]) if lines else type(cause).__name__
        raise DatabaseAwayError(
            f"The database failed: {reason}",
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
