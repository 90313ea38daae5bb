"""Encoding many files in parallel: each file with each codec is one task for a pool of processes.

The workers are plain child processes that read tasks from their standard input. So a program that
embeds Repoint needs no guard in its main module, the death of a worker is noticed, and an
interruption ends all of them at once.
"""

from __future__ import annotations

import hashlib
import queue
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from repoint.delta.codec_selection import first_pass, second_pass
from repoint.delta.codecs import CODECS
from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.mapped import mapped
from repoint.delta.sandbox.process import (
    describe_exit,
    from_line,
    python_command,
    python_environment,
    to_line,
)
from repoint.model.errors import RepointError

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
    """The result of a task: the length of the payload, or None if the codec does not apply."""

    index: int
    codec: str
    length: int | None
    error: str = ""


def encode_all(
    inputs: Sequence[PatchInput],
    folder: Path,
    workers: int,
    progress: Callable[[int, int], None],
) -> list[Encoded]:
    """Encode every input. Payloads become files in `folder`, which the caller removes.

    Raises:
        DeltaChildError: A file could not be read or written, or a worker died.
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
            if result.error:
                raise DeltaChildError(f"cannot encode {inputs[result.index].name}: {result.error}")
            best[result.index] = _better(best[result.index], result, folder)
            missing[result.index] -= 1
            if not missing[result.index]:
                halves += sizes[result.index]
                progress(halves // 2, total)
        halves = total
    progress(total, total)
    return [_encoded(each.new, result, folder) for each, result in zip(inputs, best, strict=True)]


def run_task(task: EncodeTask) -> EncodeResult:
    """Encode, then decode to verify that the result has the same bytes. Never raises."""
    try:
        return _run(task)
    except (OSError, RepointError) as error:
        reason = str(error)
    except MemoryError:
        reason = "not enough memory"
    return EncodeResult(task.index, task.codec, None, f"codec {task.codec}: {reason}")


def _run(task: EncodeTask) -> EncodeResult:
    codec = CODECS.named(task.codec)
    with mapped(task.new) as new, mapped(task.old) as old:
        payload = codec.encode(old, new)
        if payload is None:
            return EncodeResult(task.index, task.codec, None)
        decoded = bytearray(len(new))
        codec.decode(old, memoryview(payload), memoryview(decoded))
        if decoded != new:
            raise PatchError("decoding does not give the encoded file")
    task.out.write_bytes(payload)
    return EncodeResult(task.index, task.codec, len(payload))


def _first(each: PatchInput, best: EncodeResult | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new, mapped(each.old) as old:
        return first_pass(CODECS, old, new)


def _second(each: PatchInput, best: EncodeResult | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new:
        return second_pass(CODECS, new, best.length if best is not None else None, tried)


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


def _encoded(new: Path, result: EncodeResult | None, folder: Path) -> Encoded:
    assert result is not None  # noqa: S101 - `full` takes any file
    with mapped(new) as view:
        digest = hashlib.sha256(view).hexdigest()
        payload = _payload(folder, result.index, result.codec)
        return Encoded(len(view), digest, result.codec, payload)


def _results(tasks: list[EncodeTask], weights: list[int], workers: int) -> Iterator[EncodeResult]:
    """Yield the results of all tasks in any order; small ones run here, large ones in workers."""
    large = [task for task in tasks if weights[task.index] >= _WORTH_A_PROCESS]
    # Longest first, so that no processor idles at the end.
    large.sort(key=lambda task: -weights[task.index])
    with _pool(large, min(workers, len(large))) as results:
        for task in tasks:
            if weights[task.index] < _WORTH_A_PROCESS:
                yield run_task(task)
        for _ in large:
            result = results.get()
            if isinstance(result, Exception):
                raise result
            yield result


@contextmanager
def _pool(tasks: list[EncodeTask], workers: int) -> Iterator[queue.Queue[EncodeResult | Exception]]:
    """Start processes that work on the tasks; their results arrive in the queue."""
    pending: queue.SimpleQueue[EncodeTask] = queue.SimpleQueue()
    for task in tasks:
        pending.put(task)
    results: queue.Queue[EncodeResult | Exception] = queue.Queue()
    processes = [_start() for _ in range(workers)]
    feeders = [
        threading.Thread(target=_feed, args=(process, pending, results)) for process in processes
    ]
    try:
        for feeder in feeders:
            feeder.start()
        yield results
    finally:
        for process in processes:
            process.kill()
        for feeder in feeders:
            feeder.join()
        for process in processes:
            process.communicate()


def _start() -> subprocess.Popen[bytes]:
    # In a session of its own, a worker gets no interruption from the keyboard. Only the parent
    # does, and ends the workers without messages from them.
    return subprocess.Popen(
        python_command("repoint.delta.encoding"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
        env=python_environment(),
    )


def _feed(
    process: subprocess.Popen[bytes],
    pending: queue.SimpleQueue[EncodeTask],
    results: queue.Queue[EncodeResult | Exception],
) -> None:
    """Hand one task after another to a worker, in a thread."""
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    while True:
        try:
            task = pending.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(to_line(task))
            process.stdin.flush()
            results.put(from_line(process.stdout.readline(), EncodeResult))
        except (OSError, ValueError, msgspec.MsgspecError):
            reason = describe_exit(process.wait())
            message = f"encoding {task.new} by codec {task.codec} failed: {reason}"
            results.put(DeltaChildError(message))
            return


def main() -> None:
    """Run a worker: one task per line of standard input, one result per line of its output."""
    for line in sys.stdin.buffer:
        result = run_task(from_line(line, EncodeTask))
        sys.stdout.buffer.write(to_line(result))
        sys.stdout.buffer.flush()
