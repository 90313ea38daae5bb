"""The report: tables for the terminal, and the same between two marks of a page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from benchmarks.machine import Machine
from benchmarks.results import Group, Row, goal, shown

JOB = ("<!-- results: written by `make bench` -->", "<!-- end of results -->")
DEVICE = ("<!-- device: written by `make bench-device` -->", "<!-- end of device -->")
FILES = ("<!-- files: written by `make bench-files` -->", "<!-- end of files -->")
"""The marks in the page between which a run writes its tables."""
_BUSY = 1.0
"""Load beside our own one process, above which the times cannot be trusted much."""


@dataclass(frozen=True)
class Report:
    """All that a run found out.

    Attributes:
        machine: Where.
        groups: What.
        load: The load before and after; the run itself adds about 1 to the latter.
    """

    machine: Machine
    groups: Sequence[Group]
    load: tuple[float, float]

    @property
    def about(self) -> list[str]:
        """The machine, in lines."""
        machine = self.machine
        kind = "virtual machine" if machine.virtual else "machine"
        return [
            f"{kind}: {machine.cpu}, {machine.memory}; {machine.system}; {machine.filesystem}; "
            f"{machine.processes} processes",
            machine.python,
            f"load {self.load[0]:.1f} before and {self.load[1]:.1f} after{self._warning}",
        ]

    @property
    def _warning(self) -> str:
        if self.load[0] < _BUSY and self.load[1] < 1 + _BUSY:
            return ""
        return (
            "; the machine was busy with other things, "
            "so the minimum is more telling than the maximum"
        )


def print_report(report: Report, console: Console) -> None:
    """Print the tables."""
    for group in report.groups:
        print_group(group, console)
    console.print()
    for line in report.about:
        console.print(f"[dim]{line}[/]", soft_wrap=True)


def print_group(group: Group, console: Console) -> None:
    """Print one table."""
    table = Table(title=f"\n{_plain(group.title)}", title_style="bold", title_justify="left")
    for number, name in enumerate(_header(group)):
        table.add_column(name, justify="right" if number else "left")
    for row in group.rows:
        table.add_row(*map(escape, _line(group, row)), style="red" if row.met is False else None)
    console.print(table)
    for note in group.notes:
        console.print(f"[dim]{_plain(note)}[/]", soft_wrap=True)


def write_page(report: Report, page: Path, marks: tuple[str, str] = JOB) -> None:
    """Replace the text between two marks of a page.

    Raises:
        SystemExit: The marks are missing.
    """
    text = page.read_text()
    before, begin, rest = text.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise SystemExit(f"benchmarks: {page} lacks the marks {' and '.join(marks)}")
    page.write_text(f"{before}{begin}\n\n{_markdown(report)}\n{end}{after}")


def _markdown(report: Report) -> str:
    today = datetime.now(UTC).date().isoformat()
    parts = [f"Measured on {today}.\n" + "\n".join(f"- {line}" for line in report.about)]
    for group in report.groups:
        header = _header(group)
        rows = [_line(group, row) for row in group.rows]
        rule = ["---", *["---:"] * (len(header) - 1)]
        table = "\n".join(f"| {' | '.join(cells)} |" for cells in (header, rule, *rows))
        notes = "".join(f"\n\n{note}" for note in group.notes)
        parts.append(f"### {group.title}\n\n{table}{notes}")
    return "\n\n".join(parts) + "\n"


def _header(group: Group) -> list[str]:
    ratio = [f"{group.subjects[1]} ÷ Repoint"] if group.has_ratios else []
    return ["", *group.subjects, *ratio, *(["goal"] if group.has_goals else [])]


def _line(group: Group, row: Row) -> list[str]:
    ratio = [row.ratio] if group.has_ratios else []
    return [row.name, *map(shown, row.cells), *ratio, *([goal(row)] if group.has_goals else [])]


def _plain(text: str) -> str:
    return text.replace("`", "")
