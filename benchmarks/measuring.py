"""Measuring: figures with their spread, and child processes with their time and memory."""

from __future__ import annotations

import contextlib
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Unit = Literal["B", "s", "MB", "count"]


@dataclass(frozen=True)
class Figure:
    """What was measured, several times over.

    Attributes:
        samples: One value a repetition, in the unit.
        unit: Bytes, seconds, megabytes (10^6 bytes) or a plain count.
    """

    samples: tuple[float, ...]
    unit: Unit

    @property
    def median(self) -> float:
        """The value to speak of."""
        return statistics.median(self.samples)

    @property
    def least(self) -> float:
        """The smallest value, which the machine's noise disturbs least."""
        return min(self.samples)

    @property
    def most(self) -> float:
        """The largest value."""
        return max(self.samples)


def figure(samples: Sequence[float], unit: Unit) -> Figure:
    """A figure of these samples."""
    return Figure(tuple(samples), unit)


@dataclass(frozen=True)
class Ran:
    """A child process that ended well.

    Attributes:
        answer: The JSON object that it printed on its last line; empty where it printed none.
        stdout: All that it printed.
        stderr: All that it complained of.
        wall: Seconds from before its start to after its end.
        cpu: Seconds of processor time of it and of its own children.
    """

    answer: dict[str, Any]
    stdout: str
    stderr: str
    wall: float
    cpu: float


def run(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Ran:
    """Run a command to its end.

    Raises:
        SystemExit: It failed; says how.
    """
    before = _cpu()
    started = time.perf_counter()
    done = subprocess.run(
        [*map(str, command)],
        cwd=cwd,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wall = time.perf_counter() - started
    cpu = _cpu() - before
    if done.returncode != 0:
        raise _failed(command, done.returncode, done.stderr)
    return Ran(_answer(done.stdout), done.stdout, done.stderr, wall, cpu)


@dataclass(frozen=True)
class Peak:
    """The most memory that a process and its children held at one time, in megabytes.

    Attributes:
        together: The peaks (VmHWM) of all processes that lived at the same moment, added up. What
            they share is counted for each, so this is no less than what they really took.
        main: The peak of the process itself.
        child: The peak of the largest of its children; 0 where it has none.
    """

    together: float
    main: float
    child: float


def run_watched(
    command: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Peak:
    """Run a command to its end and watch its memory. Not for timing: watching costs time.

    Why not ``getrusage``: what it calls the maximum of a child includes what the parent held when
    it forked.

    Raises:
        SystemExit: It failed; says how.
    """
    with subprocess.Popen(
        [*map(str, command)],
        cwd=cwd,
        env=_environment(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        together, peaks = 0, {process.pid: 0}
        while process.poll() is None:
            now = {pid: _peak(pid) for pid in (process.pid, *_descendants(process.pid))}
            together = max(together, sum(now.values()))
            for pid, peak in now.items():
                peaks[pid] = max(peaks.get(pid, 0), peak)
            time.sleep(0.001)
        assert process.stderr is not None
        errors = process.stderr.read()
    if process.returncode != 0:
        raise _failed(command, process.returncode, errors)
    main = peaks.pop(process.pid)
    return Peak(together / 1000, main / 1000, max(peaks.values(), default=0) / 1000)


def settle() -> None:
    """Write out what is waiting for the disk, so that the next measurement does not pay for it."""
    os.sync()


def _environment(more: Mapping[str, str] | None) -> dict[str, str]:
    # Loopback must not go through anybody's proxy.
    kept = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    return {**kept, "NO_PROXY": "*", **(more or {})}


def _answer(stdout: str) -> dict[str, Any]:
    lines = stdout.rstrip().splitlines()
    if not lines or not lines[-1].startswith("{"):
        return {}
    with contextlib.suppress(json.JSONDecodeError):
        return dict(json.loads(lines[-1]))
    return {}


def _failed(command: Sequence[str | Path], status: int, stderr: str) -> SystemExit:
    shown = " ".join(map(str, command[:4]))
    return SystemExit(f"benchmarks: `{shown} …` ended with status {status}:\n{stderr.rstrip()}")


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _descendants(pid: int) -> Iterator[int]:
    with contextlib.suppress(OSError, ValueError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in (task / "children").read_text().split():
                yield int(child)
                yield from _descendants(int(child))


def _peak(pid: int) -> int:
    """Thousands of bytes, where the kernel writes 1024 of them as kB."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 // 1000
    return 0
