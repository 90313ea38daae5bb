"""Run the judge over many points in several processes, and collect the findings."""

from __future__ import annotations

import contextlib
import itertools
import multiprocessing
import os
import shutil
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import NamedTuple

from tests.faults.device_scenes import device_scenes
from tests.faults.judging import CRASHES, FAILING, LASTING, SHORT, Finding, Judge, Trouble
from tests.faults.quickly import be_quick
from tests.faults.report_scenes import report_scenes
from tests.faults.scenes import Scene, clear
from tests.faults.serving import served
from tests.faults.trial_scenes import trial_scenes
from tests.faults.vendor_scenes import vendor_scenes

GROUPS: dict[str, tuple[Trouble, ...]] = {"crash": CRASHES, "fault": (*SHORT, *FAILING, *LASTING)}


class Share(NamedTuple):
    """A part of the work: every ``of``-th point of an operation, from point ``first`` on."""

    scene: str
    group: str
    first: int
    of: int
    tries: int
    """Random states of the disk at each cut, where the power is cut."""
    every: int
    """Take only each so manyth point; 1 for all."""


@dataclass
class Result:
    """The result of a share."""

    share: Share
    calls: int = 0
    points: int = 0
    seconds: float = 0.0
    findings: list[Finding] = field(default_factory=list)
    broke: str = ""


def scenes(base: Path, url: str) -> dict[str, Callable[[], Scene]]:
    """Return all operations by name."""
    return {
        **device_scenes(base, url),
        **trial_scenes(base, url),
        **report_scenes(base, url),
        **vendor_scenes(base, url),
    }


def scene_names() -> list[str]:
    """Return the names of all operations, those of devices first."""
    return list(scenes(Path("/nowhere"), ""))


def run(shares: list[Share], processes: int, report: Callable[[Result], None]) -> None:
    """Process all shares in several processes.

    Args:
        shares: The work.
        processes: The number of processes.
        report: Called with each result when it is complete.
    """
    context = multiprocessing.get_context("spawn")
    waiting = list(reversed(shares))
    running: dict[Connection, tuple[SpawnProcess, Share]] = {}
    while waiting or running:
        while waiting and len(running) < processes:
            ours, theirs = context.Pipe(duplex=False)
            process = context.Process(target=_work, args=(waiting[-1], theirs))
            process.start()
            theirs.close()
            running[ours] = (process, waiting.pop())
        for ready in multiprocessing.connection.wait(list(running)):
            assert isinstance(ready, Connection)
            process, share = running.pop(ready)
            try:
                result = ready.recv()
            except EOFError:
                result = Result(share, broke="its process died")
            process.join()
            report(result)


def _work(share: Share, connection: Connection) -> None:
    started = time.monotonic()
    result = Result(share)
    be_quick()
    try:
        with _place() as base, served(base) as url:
            _judge(scenes(base, url)[share.scene](), share, result)
    except Exception:
        result.broke = traceback.format_exc()
    result.seconds = time.monotonic() - started
    connection.send(result)


@contextlib.contextmanager
def _place() -> Iterator[Path]:
    """Yield a folder to work in, in memory if possible: nothing here needs a real disk."""
    above = Path("/dev/shm")
    roomy = above.is_dir() and shutil.disk_usage(above).free > 1 << 30
    base = Path(tempfile.mkdtemp(prefix="faults-", dir=above if roomy else None))
    try:
        yield base
    finally:
        clear(base)


def _judge(scene: Scene, share: Share, result: Result) -> None:
    judge = Judge(scene)
    result.calls = len(judge.undisturbed.calls)
    if share.group == "power cut":
        recording = judge.record()
        result.calls = len(recording.trace.calls)
        seen: set[str] = set()
        cuts = [*range(0, result.calls, share.every), result.calls]
        for cut in cuts[share.first :: share.of]:
            for state in recording.states(cut, share.tries, share.scene):
                if state.digest not in seen:
                    seen.add(state.digest)
                    result.points += 1
                    result.findings += judge.cut_power(state, cut)
        return
    points = [(t, n) for t in GROUPS[share.group] for n in judge.points(t)]
    for trouble, number in itertools.islice(
        points, share.first * share.every, None, share.of * share.every
    ):
        result.points += 1
        result.findings += judge.disturb(trouble, number)


def processors() -> int:
    """Return the number of processors that this process may use."""
    return len(os.sched_getaffinity(0))
