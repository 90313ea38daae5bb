"""Measuring tools on pairs, one after the other, and keeping what comes out."""

from __future__ import annotations

import filecmp
import shutil
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.delta.child import Answer, File, Job
from benchmarks.delta.material import ChangedFile
from benchmarks.delta.results import WHOLE, Result, Results
from benchmarks.delta.tools import PUBLISHER, Tool, engine_version
from benchmarks.delta.watching import Measured, measure

MEMORY = 14 << 30
"""Bytes of private memory that a measurement may take: there is no more for one on the machine
that this is measured on."""
_QUICK = 5.0
"""Seconds; what decodes faster is decoded three times."""


def measure_tool(
    pair: str,
    files: Sequence[ChangedFile],
    tool: Tool,
    results: Results,
    limit: float,
    progress: Callable[[str], None],
) -> None:
    """Measure a tool on each file that it has not been measured on yet."""
    version = tool.version()
    assert version is not None
    known = results.of(pair, tool.name, version)
    for number, file in enumerate(files):
        if file.name in known or (tool.name == "elf" and not file.code):
            continue
        progress(f"{pair}, {tool.title}: {number + 1} of {len(files)}, {file.name}")
        results.add(pair, tool.name, version, file.name, _measure([file], tool.name, limit))


def measure_publisher(
    pair: str,
    files: Sequence[ChangedFile],
    results: Results,
    limit: float,
    progress: Callable[[str], None],
) -> None:
    """Measure the patch of all files as the publisher makes it, and the device's way back."""
    version = engine_version()
    if WHOLE not in results.of(pair, PUBLISHER, version):
        progress(f"{pair}, Repoint: {len(files)} {'file' if len(files) == 1 else 'files'}")
        results.add(pair, PUBLISHER, version, WHOLE, _measure(files, PUBLISHER, limit))


def _measure(files: Sequence[ChangedFile], tool: str, limit: float) -> Result:
    with tempfile.TemporaryDirectory(prefix="repoint-bench-", dir=_scratch(files)) as folder:
        patch, out = Path(folder, "patch"), Path(folder, "out")
        job = Job(tool, "encode", tuple(map(_file, files)), str(patch), str(out), MEMORY)
        encode, answer = measure(job, limit)
        made = encode.outcome == "ok"
        decoded: list[Measured] = []
        while made and len(decoded) < (3 if not decoded or decoded[0].seconds < _QUICK else 1):
            decoded.append(_decode(job, files, out, limit))
            if decoded[-1].outcome != "ok":
                raise SystemExit(
                    f"benchmarks: {tool} cannot decode what it made of {files[0].name}: "
                    f"{decoded[-1].outcome} {decoded[-1].error}"
                )
        return Result(
            old=sum(f.old.stat().st_size for f in files if f.old),
            new=sum(f.size for f in files),
            size=_size(patch, answer) if made else None,
            encode=encode,
            decode=tuple(decoded),
            entries=answer.entries,
            day=datetime.now(UTC).date().isoformat(),
        )


def _decode(job: Job, files: Sequence[ChangedFile], out: Path, limit: float) -> Measured:
    """Decode and compare; the folder or file that is decoded into is new each time."""
    if job.tool == PUBLISHER:
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        made = [out / str(number) for number in range(len(files))]
    else:
        made = [out]
        with out.open("wb") as zeros:
            zeros.truncate(files[0].size)
    again = Job(job.tool, "decode", job.files, job.patch, job.out, job.memory)
    measured, _ = measure(again, limit)
    if measured.outcome == "ok":
        for path, file in zip(made, files, strict=True):
            if not filecmp.cmp(path, file.new, shallow=False):
                return Measured("failed", error=f"{file.name} has come out wrong")
    return measured


def _size(patch: Path, answer: Answer) -> int | None:
    return patch.stat().st_size if answer.applies else None


def _file(file: ChangedFile) -> File:
    return File(file.name, str(file.old) if file.old else None, str(file.new))


def _scratch(files: Sequence[ChangedFile]) -> Path:
    """Beside the material, which is on a disk: what is in memory would count as memory."""
    return next(p for p in files[0].new.absolute().parents if p.name in {"trees", "wheels", "bad"})
