"""Running one measurement: within limits of time and memory, and watched from outside."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.delta.child import Answer, Job

Outcome = Literal["ok", "none", "time", "memory", "failed"]
_HOME = Path(__file__).resolve().parents[2]
_INTERVALS = (0.004, 0.05)
"""Seconds between two looks at a process, at first and in the long run: looking costs time."""


class Measured(msgspec.Struct, frozen=True):
    """One way of one tool on one file.

    Attributes:
        outcome: `none` where the tool has nothing to offer; `time` and `memory` where it exceeded
            its limit.
        seconds: Its own time, without starting the interpreter.
        cpu: Processor time in that.
        peak: The most memory of its largest process, in bytes.
        together: The peaks of all processes that lived at the same moment, added up, in bytes.
        private: The most memory of its largest process apart from mapped files, in bytes; seen
            from outside every few milliseconds.
        error: What it said when it failed.
    """

    outcome: Outcome
    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    together: int = 0
    private: int = 0
    error: str = ""


def measure(job: Job, seconds: float) -> tuple[Measured, Answer]:
    """Do a job in a process of its own, for so many seconds at most; what it started ends with it.

    Raises:
        KeyboardInterrupt: The process was ended, and all that it started.
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.delta.child"],
        cwd=_HOME,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert process.stdin
    seen = _Seen()
    watcher = threading.Thread(target=_watch, args=(process, seen))
    try:
        process.stdin.write(msgspec.json.encode(job) + b"\n")
        process.stdin.flush()
        watcher.start()
        output, complaints = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        return _measured(seen, "time", seconds=seconds), Answer(error="time")
    finally:
        _end(process)
        watcher.join()
    if not output:
        error = complaints.decode(errors="replace").strip().splitlines()
        # The kernel's way of saying that there is no memory left, and that of C++.
        no_memory = process.returncode in (-signal.SIGKILL, -signal.SIGABRT, -signal.SIGSEGV)
        answer = Answer(error="memory" if no_memory else (error or ["no answer"])[-1])
    else:
        answer = msgspec.json.decode(output, type=Answer)
    if answer.error:
        lacks = any(word in answer.error.lower() for word in ("memory", "alloc"))
        return _measured(seen, "memory" if lacks else "failed", error=answer.error), answer
    outcome: Outcome = "ok" if answer.applies else "none"
    measured = _measured(seen, outcome, seconds=answer.seconds, cpu=answer.cpu, peak=answer.peak)
    return measured, answer


@dataclass
class _Seen:
    peak: int = 0
    together: int = 0
    private: int = 0


def _measured(
    seen: _Seen,
    outcome: Outcome,
    *,
    seconds: float = 0.0,
    cpu: float = 0.0,
    peak: int = 0,
    error: str = "",
) -> Measured:
    most = max(peak, seen.peak)
    together = max(seen.together, most)
    return Measured(outcome, seconds, cpu, most, together, seen.private, error)


def _watch(process: subprocess.Popen[bytes], seen: _Seen) -> None:
    started = time.monotonic()
    while process.returncode is None:
        now = [_memory(pid) for pid in (process.pid, *_descendants(process.pid))]
        seen.peak = max(seen.peak, *(peak for peak, _ in now))
        seen.private = max(seen.private, *(private for _, private in now))
        seen.together = max(seen.together, sum(peak for peak, _ in now))
        time.sleep(_INTERVALS[time.monotonic() - started > 10])


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill the process and its descendants, if it is still running."""
    if process.poll() is None:
        # The parent first, so that it starts no more.
        for pid in (process.pid, *_descendants(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        process.communicate()


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _memory(pid: int) -> tuple[int, int]:
    """The peak of a process so far, and its memory now apart from files; in bytes."""
    peak = private = 0
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1]) * 1024
            elif line.startswith("RssAnon:"):
                private = int(line.split()[1]) * 1024
    return peak, private
