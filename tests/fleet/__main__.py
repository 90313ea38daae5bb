"""Start the services that the tests of the fleet use once, and say where they come from."""

from __future__ import annotations

from tests.fleet import postgresql, seaweedfs


def main() -> None:
    if postgresql.programs() is not None:
        database = postgresql.PostgreSQLServer()
        print(f"PostgreSQL works: {postgresql.programs()}")
        database.close()
    if seaweedfs.program() is not None:
        store = seaweedfs.SeaweedFS()
        print(f"SeaweedFS works: {seaweedfs.program()}")
        store.close()


main()
