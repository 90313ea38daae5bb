"""How many bytes ten million devices take, and how long answers about them take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import psycopg

from benchmarks.fleet.filling import PRODUCT, counts, events, fill
from repoint.fleet.events.parquet import from_lines, merged
from repoint.fleet.stores.opening import open_state
from repoint.fleet.stores.spool import encode_reports
from repoint.fleet.stores.state import SqlState
from repoint.model.report import Report

_SAMPLE = 100_000
"""Devices whose reports go through the collector's own code; they make the roll-ups."""

_AT_ONCE = 64
"""Devices of the sample that report at the same moment."""

_PARTS = 20
_TABLES = "relkind = 'r' AND relnamespace = 'public'::regnamespace"

_MORE = """
INSERT INTO states (id, letter, event_time, since, in_force, reported, status, flags, staged,
                    exposed, ring, agent)
SELECT gen_random_uuid(), 1 + n %% 6, t, t, 0, t, 1, 2, 0, 0, (n %% 100 = 0)::int, 1
FROM (SELECT n, extract(epoch FROM now())::int - n %% 259200 AS t
      FROM generate_series(1, %s) n) AS device
"""
_CONFIRM = """
UPDATE states SET status = 2, event_time = event_time + 600, reported = reported + 600
WHERE abs(hashtext(id::text)) %% %s = %s
"""


@dataclass(frozen=True)
class Size:
    """What PostgreSQL takes for so many devices.

    Attributes:
        inserted: Bytes of their rows and the index once all have staged a letter.
        confirmed: The same once all have confirmed it, which replaces each row.
        rest: Bytes of everything else: roll-ups, dictionaries, nonces of a day.
        nonces: Bytes of the nonces in it.
    """

    inserted: int
    confirmed: int
    rest: int
    nonces: int


def fill_up(url: str, devices: int) -> Size:
    """Fill a database with so many devices, and return what they take.

    Most rows are made by the database, as the collector writes them. All of them are then replaced
    a twentieth at a time, with a VACUUM after each: autovacuum is told to come that often.
    """
    state = open_state(url)
    fill(state, _SAMPLE, int(time.time()), size=_AT_ONCE)
    state.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_MORE, (devices - _SAMPLE,))
        connection.execute("VACUUM ANALYZE states")
        inserted = _bytes(connection, "states")
        for part in range(_PARTS):
            connection.execute(_CONFIRM, (_PARTS, part))
            connection.execute("VACUUM states")
        # A day of nonces: a seventh of the devices counts in a day, and each stages and confirms
        # a letter once in a month.
        a_day = devices // 7 + devices * 2 // 30
        connection.execute(
            "INSERT INTO nonces SELECT (random() * 9e18)::bigint, n %% 24 "
            "FROM generate_series(1, %s) n ON CONFLICT DO NOTHING",
            (a_day,),
        )
        connection.execute("VACUUM ANALYZE")
        confirmed = _bytes(connection, "states")
        nonces = _bytes(connection, "nonces")
        row = connection.execute(
            f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE {_TABLES}"
        ).fetchone()
    assert row is not None
    return Size(inserted, confirmed, int(row[0]) - confirmed, nonces)


def answers(url: str, runs: int = 15) -> dict[str, tuple[float, ...]]:
    """Return how long each answer takes, in seconds, every time."""
    state = open_state(url)
    since = int(time.time()) - 30 * 86_400
    questions: dict[str, Callable[[SqlState], object]] = {
        "outcomes by letter and ring": lambda one: one.outcomes(PRODUCT),
        "adoption by the hour, 30 days": lambda one: one.adoption(PRODUCT, since),
        "failures by kind": lambda one: one.failures(PRODUCT),
        "an id": lambda one: one.find("0" * 32),
    }
    found: dict[str, tuple[float, ...]] = {}
    for name, ask in questions.items():
        times = []
        for _ in range(runs):
            begun = time.perf_counter()
            ask(state)
            times.append(time.perf_counter() - begun)
        found[name] = tuple(times)
    state.close()
    return found


@dataclass(frozen=True)
class Day:
    """What a day of events takes in Parquet, once it is merged."""

    counts: int
    count_bytes: int
    events: int
    event_bytes: int

    @property
    def per_event(self) -> float:
        """Bytes of an event with the id of its letter."""
        return self.event_bytes / self.events


def a_day(devices: int) -> Day:
    """Return what a day of so many devices takes: weekly counts, and one letter a month."""
    count, moments = devices // 7, devices * 2 // 30
    counted, count_bytes = _packed(counts(count, 7), count)
    happened, event_bytes = _packed((batch for _, batch in events(moments // 2, 8)), moments)
    return Day(counted, count_bytes, happened, event_bytes)


def _packed(batches: Iterable[list[Report]], expected: int) -> tuple[int, int]:
    """Return how many reports there are, and the bytes of a merged day of them."""
    files: list[bytes] = []
    lines: list[bytes] = []
    taken = 0
    for reports in batches:
        for start in range(0, len(reports), 16):  # about what comes in a second
            part = reports[start : start + 16]
            lines.append(encode_reports(part, _moment(taken, expected)))
            taken += len(part)
        if taken >= expected // 24 * (len(files) + 1):
            files.append(from_lines(b"".join(lines), {}))
            lines.clear()
    files.append(from_lines(b"".join(lines), {}))
    return taken, len(merged(files, {}))


def _moment(number: int, all_of_them: int) -> int:
    return 1_790_000_000 // 86_400 * 86_400 + min(86_399, number * 86_400 // all_of_them)


def _bytes(connection: psycopg.Connection[tuple[object, ...]], table: str) -> int:
    row = connection.execute("SELECT pg_total_relation_size(%s)", (table,)).fetchone()
    assert row is not None
    return int(str(row[0]))
