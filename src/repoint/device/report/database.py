"""The status as a SQLite database: docs/reports.md describes its views.

osquery reads it with automatic table construction, which gives every column as text.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Sequence

from repoint import __version__
from repoint.device.status.status import Status

_SCHEMA = """
CREATE TABLE product (
    product TEXT PRIMARY KEY, platform TEXT, version TEXT, build TEXT, verdict TEXT,
    protected INTEGER, in_force TEXT, staged TEXT, on_trial INTEGER, available TEXT, urgency TEXT,
    withdrawn TEXT, exposed INTEGER, unknown INTEGER, last_check INTEGER, last_success INTEGER,
    repository TEXT, agent TEXT, written INTEGER
);
CREATE TABLE cve (
    product TEXT, cve TEXT, component TEXT, state TEXT, improvement TEXT, impact TEXT
);
CREATE VIEW repoint_status AS SELECT * FROM product;
CREATE VIEW repoint_cves AS SELECT * FROM cve;
"""


def make_database(statuses: Sequence[Status], *, now: int) -> bytes:
    """Return a database with the status of each product.

    Args:
        statuses: The status of each product.
        now: Seconds since 1970.
    """
    with contextlib.closing(sqlite3.connect(":memory:")) as database:
        database.executescript(_SCHEMA)
        products = [_product(status, now) for status in statuses]
        places = ", ".join("?" * 19)
        database.executemany(f"INSERT INTO product VALUES ({places})", products)  # noqa: S608
        database.executemany(
            "INSERT INTO cve VALUES (?, ?, ?, ?, ?, ?)",
            [row for status in statuses for row in _cves(status)],
        )
        database.commit()
        return database.serialize()


def _product(status: Status, now: int) -> tuple[str | int, ...]:
    last, available = status.last_check, status.available
    return (
        status.product, status.platform, status.version, status.build, status.verdict,
        int(status.protected), status.in_force, status.staged, int(status.on_trial),
        available.label if available is not None else "",
        available.urgency if available is not None else "",
        status.withdrawn, len({process.pid for process in status.exposed}),
        len({process.pid for process in status.unknown}),
        last.when if last is not None else 0, last.success if last is not None else 0,
        status.repository, __version__, now,
    )  # fmt: skip


def _cves(status: Status) -> list[tuple[str, ...]]:
    return [
        (status.product, cve.cve, cve.component, cve.state, cve.improvement, cve.impact)
        for cve in status.cves
    ]
