from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.fleet.postgresql import PostgreSQLServer, programs
from tests.fleet.seaweedfs import SeaweedFS, program


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQLServer]:
    """A PostgreSQL that the tests of one process share."""
    if programs() is None:
        pytest.skip("PostgreSQL is not installed (`make services`)")
    server = PostgreSQLServer()
    yield server
    server.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fleet.db"
    server: PostgreSQLServer = request.getfixturevalue("postgresql")
    return server.new_database()


@pytest.fixture(scope="session")
def seaweedfs() -> Iterator[SeaweedFS]:
    """An S3 store that the tests of one process share."""
    if program() is None:
        pytest.skip("SeaweedFS is not installed (`make services`)")
    server = SeaweedFS()
    yield server
    server.close()
