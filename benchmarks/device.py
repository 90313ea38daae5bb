"""Start-up time and disk space of a device, measured and written into the documentation."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.console import Console

from benchmarks import footprint, machine, startup
from benchmarks.report import DEVICE, Report, print_report, write_page

_HOME = Path(__file__).resolve().parents[1]


def main() -> None:
    """Measure and report."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    before = machine.load()
    with (
        console.status("Measuring start-up time …") as shown,
        tempfile.TemporaryDirectory() as empty,
    ):
        groups = [startup.group(startup.measure(startup.RUNS, empty))]
        after = machine.load()
        shown.update("Installing each extra …")
        groups += footprint.measure(lambda: None)
        report = Report(machine.describe(Path(empty)), groups, (before, after))
    print_report(report, console)
    document = _HOME / "docs" / "benchmarks.md"
    write_page(report, document, DEVICE)
    console.print(f"\nWritten to {document.relative_to(_HOME)}.")


if __name__ == "__main__":
    main()
