"""Interrupt every operation at every point: `make faults`.

Writes the figures to a table in `docs/reliability.md`.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path

from tests.faults.judging import Finding
from tests.faults.running import Result, Share, processors, run, scene_names

_GROUPS = ("crash", "fault", "power cut")
_BEGIN, _END = "<!-- figures: begin -->", "<!-- figures: end -->"
_PAGE = Path(__file__).resolve().parents[2] / "docs/reliability.md"


def main() -> int:
    """Run the selected operations; return 1 if any promise was broken."""
    arguments = _arguments()
    names = arguments.only or scene_names()
    of = 1 if arguments.every > 3 else 2
    shares = [
        Share(name, group, first, of, arguments.tries, arguments.every)
        for group in arguments.group or _GROUPS
        for name in names
        for first in range(of)
    ]
    results: list[Result] = []
    started = time.monotonic()

    def report(result: Result) -> None:
        results.append(result)
        share = result.share
        wrong = len({(f.trouble, f.number) for f in result.findings})
        summary = f"{result.points} points, {wrong} wrong, {result.seconds:.0f} s"
        print(f"{share.scene}, {share.group}: {summary}", flush=True)
        for finding in _first_of_each(result):
            print(f"  ! {str(finding)[:600]}", flush=True)
        if result.broke:
            print(f"  ! {result.broke}", flush=True)

    run(shares, arguments.processes, report)
    rows = _rows(results)
    seconds = time.monotonic() - started
    print("\n".join(["", *_table(rows), "", f"{seconds / 60:.0f} minutes"]))
    if arguments.write:
        _write(_table(rows))
    return int(any(r.findings or r.broke or not r.points for r in results))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--only", action="append", choices=scene_names(), help="one operation")
    parser.add_argument("--group", action="append", choices=_GROUPS, help="one kind of trouble")
    parser.add_argument("--every", type=int, default=1, help="each so manyth point (default: all)")
    parser.add_argument("--tries", type=int, default=3, help="random disks at each power cut")
    parser.add_argument("--processes", type=int, default=processors())
    parser.add_argument("--write", action="store_true", help="put the figures into the page")
    return parser.parse_args()


def _first_of_each(result: Result) -> list[Finding]:
    found: dict[tuple[str, str], Finding] = {}
    for finding in result.findings:
        found.setdefault((finding.trouble, finding.wrong[:40]), finding)
    return list(found.values())[:8]


def _rows(results: list[Result]) -> dict[str, dict[str, list[int]]]:
    """Count points and violations by operation and kind of fault."""
    rows: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0, 0]))
    for result in results:
        cell = rows[result.share.scene][result.share.group]
        cell[0] += result.points
        cell[1] += len({(f.trouble, f.number) for f in result.findings}) + bool(result.broke)
        rows[result.share.scene]["calls"][0] = result.calls
    return {name: rows[name] for name in scene_names() if name in rows}


def _table(rows: dict[str, dict[str, list[int]]]) -> list[str]:
    lines = [
        "| operation | calls | crash points | fault points | power cuts | violations |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    total = [0] * 5
    for name, cells in rows.items():
        points = [cells[group][0] for group in _GROUPS]
        wrong = sum(cells[group][1] for group in _GROUPS)
        figures = [cells["calls"][0], *points, wrong]
        total = [a + b for a, b in zip(total, figures, strict=True)]
        lines.append(f"| {name} | " + " | ".join(f"{n:,}" for n in figures) + " |")
    lines.append("| **all** | " + " | ".join(f"**{n:,}**" for n in total) + " |")
    return lines


def _write(table: list[str]) -> None:
    before, _, rest = _PAGE.read_text().partition(_BEGIN)
    _, _, after = rest.partition(_END)
    _PAGE.write_text("\n".join([before + _BEGIN, "", *table, "", _END + after]))


if __name__ == "__main__":
    sys.exit(main())
