"""Tables of what the bytes of a patch are for."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from repoint.cli.output import size
from repoint.delta.explain import FileAccount
from repoint.model.printable import one_line

_MOST_SECTIONS = 12


def print_explained(files: Sequence[FileAccount]) -> None:
    """Print a table of the files, largest payload first, and tables for compiled files."""
    console = Console(highlight=False, markup=False, emoji=False)
    ordered = sorted(files, key=lambda file: -file.length)
    total = sum(file.length for file in files)
    table = _table("file", "codec", "size", "in the patch", "share")
    for file in ordered:
        share = f"{file.length / total:.1%}" if total else ""
        table.add_row(one_line(file.name), file.codec, size(file.size), size(file.length), share)
    console.print(table)
    for file in ordered:
        if file.streams:
            _print_heading(console, file)
            streams = _table("stream", "bytes", "stored")
            for stream, raw, stored in sorted(file.streams, key=lambda row: -row[2]):
                streams.add_row(stream.replace("_", " "), size(raw), size(stored))
            console.print(streams)
        if file.parts:
            _print_parts(console, file)
        if file.sections:
            _print_sections(console, file)


def _print_heading(console: Console, file: FileAccount) -> None:
    console.print()
    console.print(one_line(file.name), style="bold", soft_wrap=True)


def _print_parts(console: Console, file: FileAccount) -> None:
    _print_heading(console, file)
    table = _table("what is inside", "codec", "size", "in the patch")
    for part in sorted(file.parts, key=lambda part: -part.length):
        what = f"{part.members:,} members" if part.members > 1 else "a member"
        what = what if part.members else "all between changed members"
        table.add_row(what, part.codec, size(part.size), size(part.length))
    console.print(table)


def _print_sections(console: Console, file: FileAccount) -> None:
    table = _table("section", "size", "references", "corrected", "residual bytes", "new bytes")
    rows = sorted(file.sections, key=lambda row: -(row.corrected + row.residual + row.new))
    for row in rows[:_MOST_SECTIONS]:
        counts = [row.references, row.corrected, row.residual, row.new]
        table.add_row(one_line(row.section), size(row.size), *(f"{count:,}" for count in counts))
    console.print(table)
    if len(rows) > _MOST_SECTIONS:
        console.print(f"… and {len(rows) - _MOST_SECTIONS} sections with less")


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    table.add_column(first, overflow="fold")
    for name in others:
        table.add_column(name, justify="left" if name == "codec" else "right")
    return table
