"""Create the tables of a fleet's state, or bring them up to date."""

from __future__ import annotations

from importlib.resources import files

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError

from repoint.fleet.stores.bulk import Bulk
from repoint.fleet.stores.errors import DatabaseTooNewError


def migrate(engine: sa.Engine, bulk: Bulk) -> None:
    """Create the tables, or bring them up to date, all or nothing.

    Raises:
        DatabaseTooNewError: A newer version of Repoint has changed them.
    """
    config = Config()
    config.set_main_option("script_location", str(files("repoint.fleet.stores") / "migrations"))
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        bulk.lock(connection)
        if _version(connection) == ScriptDirectory.from_config(config).get_current_head():
            return
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise DatabaseTooNewError(
                f"The tables are newer than this version of Repoint: {error}",
                hint="Update Repoint",
            ) from None


def _version(connection: sa.Connection) -> str | None:
    if not sa.inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(sa.text("SELECT version_num FROM alembic_version"))
    return found
