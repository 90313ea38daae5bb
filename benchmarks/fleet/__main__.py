"""Measure the collector, and write the tables into the documentation."""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path

from rich.console import Console
from tests.fleet.postgresql import PostgreSQLServer

from benchmarks import machine
from benchmarks.fleet import first_view, rates, recovery, size
from benchmarks.fleet.load import CONNECTIONS, Taken
from benchmarks.measuring import Figure, figure
from benchmarks.report import Report, print_report, write_page
from benchmarks.results import Group, Row

_HOME = Path(__file__).resolve().parents[2]
_MARKS = ("<!-- fleet: written by `make bench-fleet` -->", "<!-- end of fleet -->")


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(prog="benchmarks.fleet", description=__doc__)
    parser.add_argument("--devices", type=int, default=10_000_000, help="the size of the fleet")
    devices: int = parser.parse_args().devices
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    before = machine.load()
    server = PostgreSQLServer()
    try:
        with console.status("Measuring …") as status:
            taken = rates.measure(server, status.update)
            status.update("Writing a day of events …")
            day = size.a_day(devices)
            status.update(f"Filling PostgreSQL with {devices:,} devices …")
            url = server.new_database()
            space = size.fill_up(url, devices)
            status.update("Asking …")
            answered = size.answers(url)
            status.update("Opening the page …")
            viewed = {"fleet page, first view": first_view.measure(url)}
            recovered = recovery.measure(url)
    finally:
        server.close()
    groups = [
        _rates(taken),
        _answers(answered | viewed | recovered.first_byte, devices),
        _space(space, day, devices),
        _recovery(recovered),
    ]
    report = Report(machine.describe(_HOME), groups, (before, machine.load()))
    print_report(report, console)
    document = _HOME / "docs" / "benchmarks.md"
    write_page(report, document, _MARKS)
    console.print(f"\nWritten to {document.relative_to(_HOME)}.")


def _rates(taken: dict[str, list[Taken]]) -> Group:
    batch = rates.BATCH
    names = {
        "repoint SQLite 1": "Repoint, SQLite, one report a request",
        "repoint PostgreSQL 1": "Repoint, PostgreSQL, one report a request",
        f"repoint SQLite {batch}": f"Repoint, SQLite, {batch} reports a request",
        f"repoint PostgreSQL {batch}": f"Repoint, PostgreSQL, {batch} reports a request",
        "goosebit poll": "goosebit, poll",
        "goosebit feedback": "goosebit, feedback",
    }
    base = _median(taken["goosebit feedback"], 1)
    rows = []
    for key, name in names.items():
        runs = taken[key]
        each = rates.BATCH if key.endswith(str(rates.BATCH)) else 1
        times = _median(runs, each) / base
        rows.append(
            Row(name, (figure([one.rate * each for one in runs], "count"),
                       figure([one.median for one in runs], "s"),
                       figure([one.slow for one in runs], "s"), f"{times:.1f}x"))
        )  # fmt: skip
    return Group(
        "Reports taken, and goosebit's feedback",
        ("a second", "median request", "99 % of requests", "to its feedback"),
        tuple(rows),
        (
            "The goal is 2,000 reports a second on PostgreSQL, and ten times goosebit's feedback. "
            "The server, PostgreSQL and the process that sends share the two cores, and "
            f"{CONNECTIONS} connections are kept open, as a proxy does. Both sides "
            "are one process with their defaults, goosebit on its SQLite; Repoint also spools "
            "every report for the store of events. Every round has an empty database.",
        ),
    )


def _answers(answered: dict[str, tuple[float, ...]], devices: int) -> Group:
    rows = [Row(name, (figure(times, "s"),), 0.3) for name, times in answered.items()]
    return Group(f"Answers with {devices:,} devices in PostgreSQL", ("Repoint",), tuple(rows))


def _space(space: size.Size, day: size.Day, devices: int) -> Group:
    def megabytes(count: float) -> Figure:
        return figure([count / 1e6], "MB")

    whole = space.confirmed + space.rest
    peak = day.count_bytes + day.per_event * devices
    rows = (
        Row("rows of all devices and their index, once staged", (megabytes(space.inserted),)),
        Row("the same, once each row was replaced", (megabytes(space.confirmed),)),
        Row("nonces of a day, 64 bits each", (megabytes(space.nonces),)),
        Row("the whole database", (megabytes(whole),), 1500.0),
        Row(f"a day of weekly counts: {day.counts:,}", (megabytes(day.count_bytes),)),
        Row(f"events of a day, with one letter a month: {day.events:,}",
            (megabytes(day.event_bytes),)),
        Row("a day of both", (megabytes(day.count_bytes + day.event_bytes),), 300.0),
        Row(f"a day on which a letter goes to half the fleet: {devices:,} events",
            (megabytes(peak),), 300.0),
    )  # fmt: skip
    return Group(
        f"What {devices:,} devices take",
        ("Repoint",),
        rows,
        (
            f"{space.confirmed / devices:.0f} bytes a device in the table of states, "
            f"{whole / devices:.0f} in the whole database; {day.count_bytes / day.counts:.1f} "
            f"bytes for a count and {day.per_event:.1f} for an event in Parquet, merged by the "
            "day. The last row is computed from these.",
        ),
    )


def _recovery(recovered: recovery.Recovery) -> Group:
    rows = (
        Row("from the kill to the first report that is taken",
            (figure(recovered.seconds, "s"),)),
        Row("events acknowledged before the kills",
            (figure([recovered.acknowledged], "count"),)),
        Row("of these, lost", (figure([recovered.lost], "count"),)),
    )  # fmt: skip
    return Group(f"A collector that is killed {recovery.ROUNDS} times", ("Repoint",), rows)


def _median(runs: list[Taken], each: int) -> float:
    return statistics.median(one.rate * each for one in runs)


if __name__ == "__main__":
    main()
