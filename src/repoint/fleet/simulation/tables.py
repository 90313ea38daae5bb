"""The tables of the simulation, in Markdown, and their place in a page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from repoint.fleet.simulation.devices import MINUTE
from repoint.fleet.simulation.scenarios import Result
from repoint.fleet.simulation.traffic import SHARES, Traffic, hours
from repoint.model.errors import RepointError

BEGIN = "<!-- simulation: written by `make fleet-sim` -->"
END = "<!-- end of simulation -->"

GOAL = 0.0002
"""The share of devices that a letter that fails on at least 5 % may hit."""


class NoPlaceError(RepointError):
    """A page has no place for the tables."""


def results_table(results: Sequence[Result], size: int) -> str:
    """Return the table of what the guard did about each letter."""
    rows = []
    for result in results:
        stops = [stop for stop in result.stops if stop is not None]
        first = hours(min(stop.minute for stop in stops) * MINUTE) if stops else "never"
        last = hours(max(stop.minute for stop in stops) * MINUTE) if stops else ""
        few = 0 < len(stops) < len(result.stops)
        some = f" ({len(stops)} of {len(result.stops)})" if few else ""
        share = result.hit / size
        letter = result.letter
        bound = letter.fails >= 0.05 and letter.hangs == 0
        goal = f", goal {GOAL:.2%}: {'met' if share <= GOAL else 'missed'}" if bound else ""
        by = " and ".join(sorted({stop.subject for stop in stops}))
        rows.append((letter.name, f"{result.hit:,}", f"{share:.4%}{goal}", first, last + some, by))
    head = ("what is wrong", "devices hit", "of the fleet", "first platform halted after",
            "last platform halted after", "for")  # fmt: skip
    return table(head, rows)


def ramps_table(rows: Sequence[tuple[str, Sequence[Result], Traffic]]) -> str:
    """Return the table that compares ramps."""
    letters = [result.letter.name for result in rows[0][1]]
    head = ("ramp", *letters, *(f"{share:.0%} have staged it" for share in SHARES))
    shown = [
        (
            f"`{ramp}`",
            *(f"{result.hit:,}" for result in results),
            *(hours(each) for each in flow.staged),
        )
        for ramp, results, flow in rows
    ]
    return table(head, shown)


def traffic_table(flows: Sequence[tuple[str, Traffic]]) -> str:
    """Return the table of times and requests."""

    def row(name: str, value: Callable[[Traffic], str]) -> tuple[str, ...]:
        return (name, *(value(flow) for _, flow in flows))

    rows = [
        *(
            (f"{share:.0%} have staged it", *(hours(flow.staged[number]) for _, flow in flows))
            for number, share in enumerate(SHARES)
        ),
        *(
            (f"in force on {share:.0%}", *(hours(flow.in_force[number]) for _, flow in flows))
            for number, share in enumerate(SHARES)
        ),
        row("requests a second at the mirrors, between rollouts", lambda f: f"{f.idle:,.0f}"),
        row("the most in a rollout", lambda flow: f"{flow.mirrors:,.0f}"),
        row("of these, patches", lambda flow: f"{flow.downloads:,.0f}"),
        row("reports a second at the collector, between rollouts", lambda f: f"{f.counts:,.0f}"),
        row("the most in a rollout", lambda flow: f"{flow.collector:,.0f}"),
    ]
    return table(("", *(f"`{ramp}`" for ramp, _ in flows)), rows)


def alarms_table(rows: Sequence[tuple[str, str, float]], goal: float) -> str:
    """Return the table of false alarms."""
    shown = []
    for guard, letter, share in rows:
        met = f", goal {goal:.0%}: {'met' if share <= goal else 'missed'}"
        shown.append((guard, letter, f"{share:.1%}{met if guard.startswith('this') else ''}"))
    return table(("guard", "letter", "halted"), shown)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def write(page: Path, text: str) -> None:
    """Write the tables between the two marks of a page.

    Raises:
        NoPlaceError: The page has no marks.
        OSError: The page cannot be read or written.
    """
    old = page.read_text()
    before, begin, rest = old.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceError(f"{page} has no place for the tables", hint=f"Write {BEGIN} and {END}")
    page.write_text(f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}")
