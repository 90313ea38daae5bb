"""Encoding many files in parallel: each file with each codec is one task for a pool of processes.

The workers are plain child processes that read tasks from their standard input. So a program that
embeds Repoint needs no guard in its main module, the death of a worker is noticed, and an
interruption ends all of them at once.
"""

from __future__ import annotations

import hashlib
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from repoint.delta.codec_selection import first_pass, second_pass
from repoint.delta.codecs import CODECS
from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.mapped import mapped, mapped_fd, same_bytes
from repoint.delta.sandbox.confinement import die_with_parent
from repoint.delta.sandbox.process import (
    describe_exit,
    from_line,
    python_command,
    python_environment,
    to_line,
)
from repoint.model.errors import RepointError

_SECONDS = 0.5
"""Between two reports while all processes encode."""

_WORTH_A_PROCESS = 256 << 10
"""Size of both files in bytes from which encoding takes longer than handing over the task."""


class PatchInput(msgspec.Struct, frozen=True):
    """One file to encode.

    Attributes:
        name: The name of the new file in the patch.
        new: Its path.
        source: The name of the old file on the device; empty for none.
        old: Its path; None if and only if `source` is empty.
    """

    name: str
    new: Path
    source: str = ""
    old: Path | None = None


class Encoded(msgspec.Struct, frozen=True):
    """One encoded file: its length and SHA-256, and its best codec with the payload's path."""

    size: int
    sha256: str
    codec: str
    payload: Path


class EncodeTask(msgspec.Struct, frozen=True):
    """Encode `new` against `old` by one codec into the file `out`."""

    index: int
    codec: str
    new: Path
    old: Path | None
    out: Path


class EncodeResult(msgspec.Struct, frozen=True):
    """The result of a task: the length of the payload, or None if the codec does not apply.

    Attributes:
        error: Why the codec failed; empty if it did not.
        fatal: Whether no other codec should take its place.
    """

    index: int
    codec: str
    length: int | None
    error: str = ""
    fatal: bool = False


def encode_all(
    inputs: Sequence[PatchInput],
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[Encoded]:
    """Encode every input. Payloads become files in `folder`, which the caller removes.

    `progress` is also called while nothing is done; what it raises ends the processes.

    Raises:
        DeltaChildError: No codec could encode a file, for lack of memory or disk.
        OSError: A file does not exist.
    """
    # The workers run in another folder.
    folder = folder.absolute()
    inputs = [
        msgspec.structs.replace(each, new=each.new.absolute(), old=each.old and each.old.absolute())
        for each in inputs
    ]
    sizes = [each.new.stat().st_size for each in inputs]
    weights = [
        size + (each.old.stat().st_size if each.old else 0)
        for each, size in zip(inputs, sizes, strict=True)
    ]
    best: list[EncodeResult | None] = [None] * len(inputs)
    halves, total = 0, sum(sizes)
    progress(0, total)

    failed: dict[int, str] = {}
    tried: dict[int, list[str]] = {index: [] for index in range(len(inputs))}
    # Each of the two passes counts as half of the work of a file.
    for choose in (_first, _second):
        tasks = []
        for index, each in enumerate(inputs):
            names = choose(each, best[index], tried[index])
            tried[index] += names
            tasks += [
                EncodeTask(index, name, each.new, each.old, _payload(folder, index, name))
                for name in names
            ]
        missing = Counter(task.index for task in tasks)
        for result in _results(tasks, weights, workers):
            if result is None:
                progress(halves // 2, total)
                continue
            if result.fatal:
                raise DeltaChildError(f"cannot encode {inputs[result.index].name}: {result.error}")
            if result.error:
                # A codec that runs out of memory or fails loses to the others.
                failed[result.index] = result.error
                _payload(folder, result.index, result.codec).unlink(missing_ok=True)
            best[result.index] = _better(best[result.index], result, folder)
            missing[result.index] -= 1
            if not missing[result.index]:
                halves += sizes[result.index]
                progress(halves // 2, total)
        halves = total
    progress(total, total)
    return [
        _encoded(each, result, folder, failed.get(index, "no codec applies"))
        for index, (each, result) in enumerate(zip(inputs, best, strict=True))
    ]


def run_task(task: EncodeTask) -> EncodeResult:
    """Encode, then decode to verify that the result has the same bytes. Never raises."""
    try:
        return _run(task)
    except (OSError, RepointError) as error:
        reason, fatal = str(error), isinstance(error, DeltaChildError)  # a library is missing
    except MemoryError:
        reason, fatal = "not enough memory", False
    return EncodeResult(task.index, task.codec, None, f"codec {task.codec}: {reason}", fatal)


def _run(task: EncodeTask) -> EncodeResult:
    codec = CODECS.named(task.codec)
    with mapped(task.new) as new, mapped(task.old) as old:
        payload = codec.encode(old, new)
        if payload is None:
            return EncodeResult(task.index, task.codec, None)
        # Not in memory: the file may be larger.
        with (
            tempfile.TemporaryFile(dir=task.out.parent) as file,
            _sized(file.fileno(), len(new)) as decoded,
        ):
            codec.decode(old, memoryview(payload), decoded)
            if not same_bytes(decoded, new):
                raise PatchError("decoding does not give the encoded file")
    task.out.write_bytes(payload)
    return EncodeResult(task.index, task.codec, len(payload))


@contextmanager
def _sized(fd: int, size: int) -> Iterator[memoryview]:
    os.ftruncate(fd, size)
    with mapped_fd(fd, writable=True) as view:
        yield view


def _first(each: PatchInput, best: EncodeResult | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new, mapped(each.old) as old:
        return first_pass(CODECS, old, new)


def _second(each: PatchInput, best: EncodeResult | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new, mapped(each.old) as old:
        return second_pass(CODECS, old, new, best.length if best is not None else None, tried)


def _payload(folder: Path, index: int, codec: str) -> Path:
    return folder / f"{index}.{codec}"


def _better(best: EncodeResult | None, result: EncodeResult, folder: Path) -> EncodeResult | None:
    """Return the better of two results and remove the payload of the other."""
    if result.length is None:
        return best
    if best is None or best.length is None:
        return result
    first, second = sorted(
        [best, result], key=lambda each: CODECS.rank(each.codec, each.length or 0)
    )
    _payload(folder, second.index, second.codec).unlink()
    return first


def _encoded(each: PatchInput, result: EncodeResult | None, folder: Path, reason: str) -> Encoded:
    if result is None:
        raise DeltaChildError(
            f"cannot encode {each.name}: {reason}",
            hint="Use a machine with more memory and free space",
        )
    with mapped(each.new) as view:
        digest = hashlib.sha256(view).hexdigest()
        payload = _payload(folder, result.index, result.codec)
        return Encoded(len(view), digest, result.codec, payload)


def _results(
    tasks: list[EncodeTask], weights: list[int], workers: int
) -> Iterator[EncodeResult | None]:
    """Yield the results of all tasks in any order; small ones run here, large ones in workers.

    Every moment without a result yields None, so that the caller can end the work.
    """
    large = [task for task in tasks if weights[task.index] >= _WORTH_A_PROCESS]
    # Longest first, so that no processor idles at the end.
    large.sort(key=lambda task: -weights[task.index])
    with _pool(large, min(workers, len(large))) as results:
        for task in tasks:
            if weights[task.index] < _WORTH_A_PROCESS:
                yield run_task(task)
        left = len(large)
        while left:
            try:
                result = results.get(timeout=_SECONDS)
            except queue.Empty:
                yield None
                continue
            left -= 1
            yield result


class _Workers:
    """Processes that encode, each led by a thread. One that dies is replaced."""

    def __init__(self) -> None:
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lock = threading.Lock()
        self._ended = False

    def start(self) -> subprocess.Popen[bytes] | None:
        """Start a process; None after the end."""
        with self._lock:
            if self._ended:
                return None
            # In a session of its own, a worker gets no interruption from the keyboard. Only the
            # parent does, and ends the workers without messages from them.
            process = subprocess.Popen(
                python_command("repoint.delta.encoding"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env=python_environment(),
                start_new_session=True,
            )
            self._processes.append(process)
            return process

    def kill(self) -> None:
        """End all processes; no other is started."""
        with self._lock:
            self._ended = True
            for process in self._processes:
                process.kill()

    def reap(self) -> None:
        """Close the pipes of all processes, which have ended."""
        for process in self._processes:
            process.communicate()


@contextmanager
def _pool(tasks: list[EncodeTask], workers: int) -> Iterator[queue.Queue[EncodeResult]]:
    """Start processes that work on the tasks; their results arrive in the queue."""
    pending: queue.SimpleQueue[EncodeTask] = queue.SimpleQueue()
    for task in tasks:
        pending.put(task)
    results: queue.Queue[EncodeResult] = queue.Queue()
    pool = _Workers()
    leaders = [
        threading.Thread(target=_lead, args=(pool, pending, results)) for _ in range(workers)
    ]
    try:
        for leader in leaders:
            leader.start()
        yield results
    finally:
        pool.kill()
        for leader in leaders:
            leader.join()
        pool.reap()


def _lead(
    pool: _Workers,
    pending: queue.SimpleQueue[EncodeTask],
    results: queue.Queue[EncodeResult],
) -> None:
    """Hand one task after another to a worker, in a thread."""
    process = None
    while True:
        try:
            task = pending.get_nowait()
        except queue.Empty:
            return
        process = process or pool.start()
        if process is None:
            return
        assert process.stdin and process.stdout  # noqa: S101 - both are pipes
        try:
            process.stdin.write(to_line(task))
            process.stdin.flush()
            results.put(from_line(process.stdout.readline(), EncodeResult))
        except (OSError, ValueError, msgspec.MsgspecError):
            process.kill()
            reason = describe_exit(process.wait())
            results.put(EncodeResult(task.index, task.codec, None, f"codec {task.codec}: {reason}"))
            process = None


def main() -> None:
    """Run a worker: one task per line of standard input, one result per line of its output."""
    # A worker reads its input only between tasks, and a task may take minutes.
    die_with_parent(os.getppid())
    for line in sys.stdin.buffer:
        result = run_task(from_line(line, EncodeTask))
        sys.stdout.buffer.write(to_line(result))
        sys.stdout.buffer.flush()
