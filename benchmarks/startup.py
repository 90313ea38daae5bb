"""Start-up time of the three commands that have a goal, beside an empty interpreter.

Shows the median, what the launcher takes beyond the program, the ratio to the interpreter, and each
run in milliseconds. The runs of all commands alternate, so that a slow moment meets all.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from rich.console import Console

from benchmarks.measuring import Figure, figure
from benchmarks.report import print_group
from benchmarks.results import Group, Row

RUNS = 20
LAUNCH = "repoint launch true"
PROGRAM = ("true",)
INTERPRETER = (sys.executable, "-c", "pass")
REPOINT = (sys.executable, "-m", "repoint")

GOALS = {LAUNCH: 40.0, "repoint status": 150.0, "repoint --help": 100.0}
"""Goals in milliseconds on a quiet machine; the launcher's is beyond the program that it starts."""


def milliseconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Run a command once; return how long it took."""
    started = time.perf_counter()
    subprocess.run(
        command, env=environment, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    return (time.perf_counter() - started) * 1000


def measure(runs: int, store: str) -> dict[str, list[float]]:
    """Run every command in turn; return the times of each in milliseconds."""
    commands = {
        "true": PROGRAM,
        "empty interpreter": INTERPRETER,
        LAUNCH: (*REPOINT, "launch", "--store", store, *PROGRAM),
        "repoint status": (*REPOINT, "status", "--store", store),
        "repoint --help": (*REPOINT, "--help"),
    }
    # Measure what people run: modules whose bytecode is cached.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(runs + 1):
        for name, command in commands.items():
            taken = milliseconds(command, environment)
            if number:  # the first run only warms the caches
                times[name].append(taken)
    return times


def group(times: dict[str, list[float]]) -> Group:
    """Return the table of these times."""
    interpreter = statistics.median(times["empty interpreter"])
    rows = [Row(name, (_seconds(times[name]), _ratio(times[name], interpreter)))
            for name in ("true", "empty interpreter")]  # fmt: skip
    launched = [run - true for run, true in zip(times[LAUNCH], times["true"], strict=True)]
    for name, taken in ((LAUNCH, launched), ("repoint status", times["repoint status"]),
                        ("repoint --help", times["repoint --help"])):  # fmt: skip
        title = f"`{name}`, beyond `true`" if name == LAUNCH else f"`{name}`"
        cells = (_seconds(taken), _ratio(taken, interpreter))
        rows.append(Row(title, cells, goal=GOALS[name] / 1000))
    raw = "; ".join(
        f"{name}: {' '.join(f'{each:.0f}' for each in taken)}" for name, taken in times.items()
    )
    return Group(
        "Start-up time of commands, whole process",
        ("Repoint", "÷ empty interpreter"),
        tuple(rows),
        (f"Every run in milliseconds, alternating: {raw}.",),
    )


def _seconds(milliseconds: Sequence[float]) -> Figure:
    return figure([each / 1000 for each in milliseconds], "s")


def _ratio(taken: Sequence[float], interpreter: float) -> str:
    return f"{statistics.median(taken) / interpreter:.1f}x"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--store", default="", help="a store with an enrolled product")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        times = measure(arguments.runs, arguments.store or empty)
    print_group(group(times), Console(highlight=False))


if __name__ == "__main__":
    main()
