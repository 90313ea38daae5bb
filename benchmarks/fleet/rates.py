"""How many reports a second the collector takes, and goosebit beside it, in turns."""

from __future__ import annotations

import tempfile
import uuid
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.fleet.collector import CollectorProcess
from tests.fleet.postgresql import PostgreSQLServer
from tests.fleet.reports import event

from benchmarks.fleet import goosebit_side
from benchmarks.fleet.load import Taken, request, send
from repoint.model.report import Report

ROUNDS = 3
REQUESTS = 4000
GOOSEBIT_REQUESTS = 1000
BATCH = 20


def measure(server: PostgreSQLServer, tell: Callable[[str], None]) -> dict[str, list[Taken]]:
    """Measure each side a few times, in turns, each time with an empty database."""
    found: dict[str, list[Taken]] = defaultdict(list)
    for number in range(ROUNDS):
        for database in ("SQLite", "PostgreSQL"):
            tell(f"Round {number + 1} of {ROUNDS}: Repoint on {database} …")
            with _collector(database, server) as port:
                found[f"repoint {database} 1"].append(
                    send(port, map(_post, _reports(REQUESTS, 1)), "202")
                )
                found[f"repoint {database} {BATCH}"].append(
                    send(port, map(_post, _reports(REQUESTS // 4, BATCH)), "202")
                )
        tell(f"Round {number + 1} of {ROUNDS}: goosebit …")
        with _goosebit() as port:
            devices = [uuid.uuid4().hex for _ in range(GOOSEBIT_REQUESTS)]
            found["goosebit poll"].append(send(port, map(goosebit_side.poll, devices), "200"))
            found["goosebit feedback"].append(
                send(port, map(goosebit_side.feedback, devices), "200")
            )
    return found


def _reports(requests: int, batch: int) -> Iterator[list[Report]]:
    """Yield what devices send: each stages a letter; every second one has confirmed one."""
    for number in range(requests):
        yield [
            event("confirmed" if (number + one) % 2 else "staged", uuid.uuid4().hex)
            for one in range(batch)
        ]


def _post(reports: list[Report]) -> bytes:
    return request("POST", "/v1/reports", msgspec.json.encode(reports))


@contextmanager
def _collector(database: str, server: PostgreSQLServer) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        url = server.new_database() if database != "SQLite" else f"sqlite:///{folder}/fleet.db"
        process = CollectorProcess(url, "--limit", "0", "--events", f"{folder}/events")
        try:
            yield process.port
        finally:
            process.stop()


@contextmanager
def _goosebit() -> Iterator[int]:
    with (
        tempfile.TemporaryDirectory() as folder,
        goosebit_side.running(f"sqlite://{folder}/goosebit.db", Path(folder)) as port,
    ):
        yield port
