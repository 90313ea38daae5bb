"""Cut the power of a booting machine a thousand times: `make machine-cuts CUTS=1000`, as root.

The operations run once in the emulator, and the machine's writes and flushes are recorded in order. For
each cut, a disk is built as a power failure at a random instant of the recording may leave it: all that
was flushed, and a random part of the rest. The disk is mounted, which replays its journal, and judged by
the machine's own Repoint. On some of these disks the machine really starts, and some further cuts kill
the emulator itself.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Self

import msgspec

from tests.machine.cuts.operations import OPERATIONS
from tests.machine.cuts.recording import Recording, record
from tests.machine.cuts.replaying import Outcome, Replay, replay
from tests.machine.cuts.started import KILLINGS, Started, kill, start_replayed
from tests.machine.image import Image, library, make_image

_BEGIN, _END = "<!-- machine cuts: begin -->", "<!-- machine cuts: end -->"
_PAGE = Path(__file__).resolve().parents[3] / "docs/reliability.md"


class Results(msgspec.Struct):
    """The findings of each kind, from the last run of that kind."""

    replayed: list[Outcome] = []
    started: list[Started] = []
    killed: list[Started] = []

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Return the findings that are saved in the folder."""
        kept = folder / "results.json"
        return msgspec.json.decode(kept.read_bytes(), type=cls) if kept.exists() else cls()

    def write(self, folder: Path) -> None:
        """Save the findings, also those of an interrupted run."""
        (folder / "results.json").write_bytes(msgspec.json.format(msgspec.json.encode(self)))


def main() -> int:
    """Run the selected cuts; return 1 if any promise was broken."""
    arguments = _arguments()
    # So that the emulator and the mounts end with this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    image = Image(folder / "disk.raw", folder / "vmlinuz", folder / "initrd")
    if not (arguments.keep and image.disk.exists()):
        make_image(image, folder, arguments.package.resolve(), library(folder, 1))
    results = Results.read(folder)
    if arguments.cuts or arguments.starts:
        work = Replay(_recording(image, folder, keep=arguments.keep), folder)
    if arguments.cuts:
        results.replayed = _replay(work, arguments)
        results.write(folder)
    if arguments.starts:
        cuts = [outcome.cut for outcome in results.replayed]
        some = random.Random(arguments.seed).sample(cuts, min(arguments.starts, len(cuts)))
        results.started = []
        for one in start_replayed(work, image, some, folder):
            _tell(one)
            results.started.append(one)
            results.write(folder)
    if arguments.kills:
        results.killed = []
        for one in kill(image, folder / "killed", arguments.kills, arguments.seed):
            _tell(one)
            results.killed.append(one)
            results.write(folder)
    table = [*_replayed_table(results.replayed), "", *_started_table(results)]
    print("\n".join(table))
    if arguments.write:
        before, _, rest = _PAGE.read_text().partition(_BEGIN)
        _, _, after = rest.partition(_END)
        _PAGE.write_text("\n".join([before + _BEGIN, "", *table, "", _END + after]))
    found: list[Outcome | Started] = [*results.replayed, *results.started, *results.killed]
    return int(any(one.wrong for one in found))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.machine.cuts", description=__doc__)
    parser.add_argument("--package", type=Path, required=True)
    parser.add_argument("--folder", type=Path, default=Path(".cache/machine-cuts"))
    parser.add_argument("--cuts", type=int, default=1000, help="replayed; 0 for none")
    parser.add_argument("--starts", type=int, default=20, help="of these, really started")
    parser.add_argument("--kills", type=int, default=20, help="with the emulator killed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--keep", action="store_true", help="use the last image and recording")
    parser.add_argument("--write", action="store_true", help="put the figures into the page")
    return parser.parse_args()


def _recording(image: Image, folder: Path, *, keep: bool) -> Recording:
    kept = folder / "recording.json"
    if not (keep and kept.exists()):
        kept.write_bytes(msgspec.json.encode(record(image, folder)))
    return msgspec.json.decode(kept.read_bytes(), type=Recording)


def _replay(work: Replay, arguments: argparse.Namespace) -> list[Outcome]:
    outcomes: list[Outcome] = []
    began = time.monotonic()

    def report(outcome: Outcome) -> None:
        outcomes.append(outcome)
        for wrong in outcome.wrong:
            print(f"  ! {outcome.cut}: {wrong[:600]}", flush=True)
        if len(outcomes) % 50 == 0:
            print(f"{len(outcomes)} cuts, {time.monotonic() - began:.0f} s", flush=True)

    replay(work, arguments.cuts, arguments.seed, arguments.processes, report)
    return outcomes


def _tell(one: Started) -> None:
    outcome = "the new state" if one.switched else "the old state"
    print(
        f"{one.operation} at {one.instant:.1f}: {outcome}, started in {one.seconds:.0f} s",
        flush=True,
    )
    for wrong in one.wrong:
        print(f"  ! {wrong[:600]}", flush=True)


def _replayed_table(outcomes: list[Outcome]) -> list[str]:
    lines = [
        "| operation | cuts | different disks | before the switch | behind it | violations |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for name in (*(operation.name for operation in OPERATIONS), ""):
        some = [one for one in outcomes if name in (one.cut.operation, "")]
        behind = sum(one.switched for one in some)
        disks = len({(one.cut.operation, one.disk) for one in some})
        wrong = sum(bool(one.wrong) for one in some)
        lines.append(_row(name, len(some), disks, len(some) - behind, behind, wrong))
    return lines


def _started_table(results: Results) -> list[str]:
    lines = [
        "| started after | cuts | old state in force | new state | violations |",
        "|---|---:|---:|---:|---:|",
    ]
    kinds = [("a replayed cut", results.started)]
    for killing in KILLINGS:
        some = [one for one in results.killed if one.operation == killing.name]
        kinds.append((f"a kill of the emulator: {killing.name}", some))
    kinds.append(("", [*results.started, *results.killed]))
    for name, some in kinds:
        behind = sum(one.switched for one in some)
        wrong = sum(bool(one.wrong) for one in some)
        lines.append(_row(name, len(some), len(some) - behind, behind, wrong))
    return lines


def _row(name: str, *figures: int) -> str:
    cells = [f"{n:,}" if name else f"**{n:,}**" for n in figures]
    return f"| {name or '**all**'} | " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main())
