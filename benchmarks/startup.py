"""Start-up time of the three commands that have a goal, beside an empty interpreter.

Prints each run in milliseconds, the median, what the launcher takes beyond the program, and
the ratio to the interpreter. The runs of all commands alternate, so that a slow moment meets all.
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

PROGRAM = ("true",)
INTERPRETER = (sys.executable, "-c", "pass")
REPOINT = (sys.executable, "-m", "repoint")

GOALS = {"repoint launch true": 40.0, "repoint status": 150.0, "repoint --help": 100.0}
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
        "repoint launch true": (*REPOINT, "launch", "--store", store, *PROGRAM),
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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--store", default="", help="a store with an enrolled product")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as empty:
        times = measure(arguments.runs, arguments.store or empty)
    medians = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name}: {' '.join(f'{each:.1f}' for each in taken)} ms")
    print(f"\n{'':<22}{'median':>9}{'beyond':>10}{'goal':>8}{'ratio':>8}")
    for name, median in medians.items():
        beyond = median - medians["true"] if name == "repoint launch true" else median
        goal = f"{GOALS[name]:.0f} ms" if name in GOALS else ""
        ratio = median / medians["empty interpreter"]
        print(f"{name:<22}{median:>6.1f} ms{beyond:>7.1f} ms{goal:>8}{ratio:>8.1f}")


if __name__ == "__main__":
    main()
