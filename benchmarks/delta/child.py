"""One measurement, in a process of its own: a job a line from standard input, its answer out.

What it imports besides, what it reads and what it writes are part of what it measures, as they are
part of what a person waits for; starting the interpreter is not.
"""

from __future__ import annotations

import importlib
import os
import resource
import sys
import time
from pathlib import Path

import msgspec

_PACKAGES = {
    "elf": ("repoint.delta.elf.codec", "numpy"),
    "hdiff": ("hdiffpatch",),
    "bsdiff": ("bsdiff4",),
    "zstd": ("zstandard",),
    "xz": ("lzma",),
    "repoint": ("repoint.delta.writer", "repoint.delta.sandbox.child", "numpy"),
}


class File(msgspec.Struct, frozen=True):
    """A file of the job; the paths are those of both releases."""

    name: str
    old: str | None
    new: str


class Job(msgspec.Struct, frozen=True):
    """What to do.

    Attributes:
        tool: The tool's name.
        way: Encode or decode.
        files: The files; one for all tools but the publisher.
        patch: The patch, to be made or to be applied.
        out: The file to be made; for the publisher the folder.
        memory: Bytes of private memory that this process and each of its children may have.
    """

    tool: str
    way: str
    files: tuple[File, ...]
    patch: str
    out: str
    memory: int


class Answer(msgspec.Struct, frozen=True):
    """What came of it.

    Attributes:
        seconds: From the call to its return.
        cpu: Processor time of this process and its children meanwhile.
        peak: The most memory in use at once, in bytes (VmHWM, or the largest child's).
        applies: Whether the tool had something to offer.
        entries: For the publisher, codec and length of each file's payload, by name.
        error: Why it failed, if it did.
    """

    seconds: float = 0.0
    cpu: float = 0.0
    peak: int = 0
    applies: bool = True
    entries: dict[str, tuple[str, int]] = {}
    error: str = ""


def main() -> None:
    """Do the job and tell."""
    job = msgspec.json.decode(sys.stdin.buffer.readline(), type=Job)
    resource.setrlimit(resource.RLIMIT_DATA, (job.memory, job.memory))
    try:
        answer = _measure(job)
    except MemoryError:
        answer = Answer(error="memory")
    except Exception as error:  # whatever a tool raises is its result
        answer = Answer(error=f"{type(error).__name__}: {error}"[:300])
    sys.stdout.buffer.write(msgspec.json.encode(answer) + b"\n")


def _measure(job: Job) -> Answer:
    for name in _PACKAGES.get(job.tool, ()):
        importlib.import_module(name)
    started, before = time.perf_counter(), _cpu()
    applies, entries = _do(job)
    seconds, cpu = time.perf_counter() - started, _cpu() - before
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    # What the kernel calls the maximum of a child includes what this process held when it forked.
    own = _peak()
    return Answer(seconds, cpu, max(own, children), applies, entries)


def _do(job: Job) -> tuple[bool, dict[str, tuple[str, int]]]:
    if job.tool == "repoint":
        return True, (_publish(job) if job.way == "encode" else _apply(job))
    from benchmarks.delta.tools import TOOLS

    tool, file = TOOLS[job.tool], job.files[0]
    old = Path(file.old or os.devnull)
    if job.way == "encode":
        return tool.encode(old, Path(file.new), Path(job.patch)), {}
    tool.decode(old, Path(job.patch), Path(job.out))
    return True, {}


def _publish(job: Job) -> dict[str, tuple[str, int]]:
    from repoint.delta.writer import PatchInput, write_patch

    inputs = [
        PatchInput(f.name, Path(f.new), f.name if f.old else "", Path(f.old) if f.old else None)
        for f in job.files
    ]
    return {e.name: (e.codec, e.length) for e in write_patch(Path(job.patch), inputs)}


def _apply(job: Job) -> dict[str, tuple[str, int]]:
    from repoint.delta.container import read_header
    from repoint.delta.sandbox.child import DecodeJob, decode_in_child

    entries = read_header(Path(job.patch)).entries
    decode_in_child(
        Path(job.patch),
        [
            DecodeJob(e.name, Path(f.old) if f.old else None, e.size, e.sha256)
            for e, f in zip(entries, job.files, strict=True)
        ],
        Path(job.out),
    )
    return {}


def _cpu() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _peak() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    main()
