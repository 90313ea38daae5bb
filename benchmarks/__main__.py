"""Run all benchmarks, print what they found, and write it into the page of the documentation.

Each group is a module with ``measure(scene, progress)``; to add one, add it to ``_GROUPS``.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from rich.console import Console

from benchmarks import activation, idle, machine, main_job, page, rounds, status
from benchmarks.report import Report, print_report, write_page
from benchmarks.results import Group
from benchmarks.scene import set_up

_HOME = Path(__file__).resolve().parents[1]
_GROUPS = (main_job, idle, rounds, status, activation, page)


def main() -> None:
    """Parse, measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--wheels", type=Path, required=True, help="where to keep the wheels")
    wheels = parser.parse_args().wheels.resolve()
    cache = _HOME / ".cache" / "benchmarks"
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 120
    before = machine.load()
    groups: list[Group] = []
    with console.status("Setting up both sides …") as shown, set_up(wheels, cache) as scene:
        for module in _GROUPS:
            name = module.__name__.rpartition(".")[2].replace("_", " ")
            done = 0

            def progress(name: str = name) -> None:
                nonlocal done
                done += 1
                shown.update(f"Measuring: {name}, {done} …")

            shown.update(f"Measuring: {name} …")
            groups += module.measure(scene, progress)
        report = Report(machine.describe(scene.repoint.folder), groups, (before, machine.load()))
    print_report(report, console)
    document = _HOME / "docs" / "benchmarks.md"
    write_page(report, document)
    console.print(f"\nWritten to {document.relative_to(_HOME)}.")


if __name__ == "__main__":
    main()
