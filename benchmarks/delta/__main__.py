"""Measure the delta engine beside the general tools, and write what comes out into the page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console

from benchmarks import machine
from benchmarks.delta import report
from benchmarks.delta.bad_cases import BAD_CASES, MB, Programs
from benchmarks.delta.chart import chart
from benchmarks.delta.material import ChangedFile, changed_files
from benchmarks.delta.measuring import measure_publisher, measure_tool
from benchmarks.delta.pairs import PAIRS
from benchmarks.delta.results import Result, Results
from benchmarks.delta.summary import summarize
from benchmarks.delta.tools import ELF, PUBLISHER, TOOLS, engine_version

_HOME = Path(__file__).resolve().parents[2]
_LIMIT = 3600.0
"""Seconds after which a tool is given up on a file of a real pair."""
_PATIENCE = 900.0
"""The same for a bad case."""


def main() -> None:
    """Parse, measure and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.delta", description=__doc__)
    parser.add_argument("--cache", type=Path, default=_HOME / ".cache" / "benchmarks" / "delta")
    parser.add_argument("--pairs", nargs="+", choices=[pair.name for pair in PAIRS])
    parser.add_argument("--tools", nargs="+", choices=[PUBLISHER, *TOOLS])
    parser.add_argument("--quick", action="store_true", help="a small sample; writes no page")
    parser.add_argument("--report", action="store_true", help="measure nothing, write the page")
    given = parser.parse_args()
    console = Console(highlight=False)
    results = Results(given.cache / "results")
    chosen = [
        pair
        for pair in PAIRS
        if (not given.pairs or pair.name in given.pairs) and (pair.quick or not given.quick)
    ]
    if not given.report:
        for pair in chosen:
            files = changed_files(pair, given.cache)
            for name in given.tools or [PUBLISHER, *TOOLS]:
                if name == PUBLISHER:
                    measure_publisher(pair.name, files, results, _LIMIT, console.print)
                elif TOOLS[name].version() is None:
                    console.print(f"{TOOLS[name].title} is lacking: {TOOLS[name].missing}")
                else:
                    measure_tool(pair.name, files, TOOLS[name], results, _LIMIT, console.print)
        if not (given.pairs or given.tools):
            _measure_bad_cases(given.cache, results, given.quick, console.print)
    summaries = [found for pair in chosen if (found := summarize(pair, results, engine_version()))]
    text = report.markdown(summaries, _bad_rows(results), _about(given.cache))
    if given.quick or given.pairs or given.tools:
        console.print(text, markup=False, soft_wrap=True)
        return
    picture = _HOME / "docs" / "images" / "delta-sizes.svg"
    picture.parent.mkdir(exist_ok=True)
    picture.write_text(chart(summaries))
    report.write(text, _HOME / "docs" / "benchmarks.md")
    console.print("Written to docs/benchmarks.md.")


def _measure_bad_cases(
    cache: Path, results: Results, quick: bool, progress: Callable[[str], None]
) -> None:
    programs = _programs(cache)
    for case in BAD_CASES:
        for size in case.quick if quick else case.sizes:
            if results.of(case.key(size), ELF.name, engine_version()):
                continue
            with case.made(size, programs, cache) as file:
                measure_tool(case.key(size), [file], ELF, results, _PATIENCE, progress)


def _programs(cache: Path) -> Programs:
    """Code to cut bad cases from: the files of the small pairs, that of the large ones behind."""
    files: list[ChangedFile] = []
    for pair in sorted(PAIRS, key=lambda pair: not pair.quick):
        if pair.code and pair.machine == "x86_64":
            files += [file for file in changed_files(pair, cache) if file.code]
    return Programs([file.old for file in files if file.old], [file.new for file in files])


def _bad_rows(results: Results) -> Sequence[Sequence[str]]:
    version = engine_version()
    return [
        [case.title, f"{result.old / MB:,.0f} MB", *_bad_cells(result)]
        for case in BAD_CASES
        for size in sorted({*case.sizes, *case.quick})
        for result in results.of(case.key(size), ELF.name, version).values()
    ]


def _bad_cells(result: Result) -> list[str]:
    run, size = result.encode, max(result.old, result.new)
    if run.outcome != "ok":
        why = {"time": f"> {_PATIENCE:.0f} s", "memory": "too much memory"}
        return [why.get(run.outcome, "left to other codecs"), "–", "–", "–"]
    return [f"{run.seconds:.1f} s", f"{run.seconds / (size / MB):.2f} s",
            f"{run.peak / size:.1f}×", f"{result.size or 0:,} B"]  # fmt: skip


def _about(cache: Path) -> str:
    found = machine.describe(cache)
    kind = "virtual machine" if found.virtual else "machine"
    return (
        f"Measured on {datetime.now(UTC).date().isoformat()} on a shared and noisy {kind}: "
        f"{found.cpu}, {found.memory}; {found.system}; {found.python}."
    )


if __name__ == "__main__":
    main()
