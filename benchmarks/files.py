"""A component of many small files, from the baseline to its removal: `make bench-files`."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.measuring import Ran, figure, run
from benchmarks.report import FILES, Report, print_report, write_page
from benchmarks.results import Group, Row

NUMBER = 100_000
IN_ONE_FOLDER = 500
GOAL = 40.0
"""Seconds for each of the three commands that read or write every file."""

_HOME = Path(__file__).resolve().parents[1]
_ADVISORY = """title = "A fix"
[[fix]]
cves = ["CVE-2026-1000"]
component = "app"
impact = "i"
description = "d"
"""
_REPOINT = (sys.executable, "-m", "repoint")


def write_tree(folder: Path, number: int) -> None:
    """Write that many small files, as in a folder of modules of a scripting language."""
    for count in range(number):
        parent = folder / f"d{count // IN_ONE_FOLDER:04}"
        if count % IN_ONE_FOLDER == 0:
            parent.mkdir(parents=True)
        (parent / f"f{count}.js").write_text(f"module.exports = {count}\n")


@contextlib.contextmanager
def served(updates: Path, environment: dict[str, str]) -> Iterator[str]:
    """Serve a repository; yield its address."""
    server = subprocess.Popen(
        [*_REPOINT, "serve", "--port", "0", "--repository", str(updates)],
        env=environment, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert server.stdout is not None
    try:
        line = server.stdout.readline()
        yield next(word.rstrip("/.,") for word in line.split() if word.startswith("http://"))
    finally:
        server.terminate()
        server.communicate()


def measure(number: int, folder: Path) -> list[tuple[str, Ran, float | None]]:
    """Run every command once; return what each took, and its goal."""
    environment = {
        **os.environ,
        "REPOINT_PASSPHRASE": "x",
        "REPOINT_REPOSITORY": str(folder / "updates"),
        "REPOINT_STORE": str(folder / "store"),
    }
    old, new, app = folder / "old", folder / "new", folder / "app"
    write_tree(old, number)
    shutil.copytree(old, new)
    (new / "d0000/f1.js").write_text("module.exports = 'fixed'\n")
    shutil.copytree(old, app)
    advisory = folder / "advisory.toml"
    advisory.write_text(_ADVISORY)
    taken: list[tuple[str, Ran, float | None]] = []

    def take(name: str, *arguments: str | Path, goal: float | None = None) -> None:
        ran = run((*_REPOINT, *arguments), cwd=folder, environment=environment)
        taken.append((f"`repoint {name}`", ran, goal))

    run((*_REPOINT, "repository", "init", folder / "updates"), environment=environment)
    of = ("many", "--version", "1")
    take("baseline add", "baseline", "add", *of, "--build", "1", "--component", f"app={old}",
         goal=GOAL)  # fmt: skip
    take("improve", "improve", *of, "--component", f"app={new}", "--advisory", advisory, goal=GOAL)
    take("publish", "publish", "many")
    with served(folder / "updates", environment) as url:
        root = folder / "updates/public/metadata/1.root.json"
        take("enroll", "enroll", url, "--product", "many", "--root", root, "--graft", f"app={app}",
             goal=GOAL)  # fmt: skip
        take("check", "check")
        take("install", "install", "--yes")
        take("restart", "restart", "--yes")
        take("status", "status")
        take("remove", "remove", "--yes")
    return taken


def group(number: int, taken: list[tuple[str, Ran, float | None]]) -> Group:
    """Return the table."""
    rows = tuple(
        Row(name, (figure([ran.wall], "s"), f"{ran.cpu:.1f} s"), goal) for name, ran, goal in taken
    )
    notes = (f"{number:,} files, {IN_ONE_FOLDER} in each folder; one of them is fixed. One run.",)
    return Group("Many small files, whole processes", ("Repoint", "processor time"), rows, notes)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=NUMBER)
    number = parser.parse_args().files
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:  # not in memory
        before = machine.load()
        with console.status("Measuring many files …"):
            taken = measure(number, Path(folder))
        about = machine.describe(Path(folder))
        report = Report(about, [group(number, taken)], (before, machine.load()))
    print_report(report, console)
    if number == NUMBER:
        document = _HOME / "docs" / "benchmarks.md"
        write_page(report, document, FILES)
        console.print(f"\nWritten to {document.relative_to(_HOME)}.")


if __name__ == "__main__":
    main()
