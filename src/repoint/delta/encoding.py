"""Encoding many files at once: each file with each codec is one task, shared among processes.

The workers are plain child processes that read tasks from their standard input. So a program that
uses Repoint needs no guard in its main module, a worker that dies is noticed, and an interruption
ends all of them at once.
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
from repoint.delta.sandbox.process import died, from_line, python_command, to_line

_WORTH_A_PROCESS = 256 << 10
"""Bytes (old and new) from which encoding takes longer than handing it over."""


class PatchInput(msgspec.Struct, frozen=True):
    """One file to encode.

    Attributes:
        name: What the new file is called in the patch.
        new: Where it is.
        source: What the old file is called that the device has; empty for none.
        old: Where that is; None exactly when `source` is empty.
    """

    name: str
    new: Path
    source: str = ""
    old: Path | None = None


class Encoded(msgspec.Struct, frozen=True):
    """One encoded file: its length and SHA-256, and the best codec with its payload's file."""

    size: int
    sha256: str
    codec: str
    payload: Path


class Task(msgspec.Struct, frozen=True):
    """Encode `new` against `old` by one codec into the file `out`."""

    index: int
    codec: str
    new: Path
    old: Path | None
    out: Path


class Answer(msgspec.Struct, frozen=True):
    """What became of a task: the payload's length, or None where the codec does not apply."""

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
    """Encode every input; payloads become files in `folder`, which is the caller's to remove.

    Raises:
        DeltaChildError: A file could not be read or written, or a worker died.
        OSError: There is no such file.
    """
    sizes = [each.new.stat().st_size for each in inputs]
    weights = [
        size + (each.old.stat().st_size if each.old else 0)
        for each, size in zip(inputs, sizes, strict=True)
    ]
    best: list[Answer | None] = [None] * len(inputs)
    halves, total = 0, sum(sizes)
    progress(0, total)

    tried: dict[int, list[str]] = {index: [] for index in range(len(inputs))}
    # Half of the work of a file counts as done with each of the two rounds.
    for choose in (_first, _second):
        tasks = []
        for index, each in enumerate(inputs):
            names = choose(each, best[index], tried[index])
            tried[index] += names
            tasks += [Task(index, n, each.new, each.old, _payload(folder, index, n)) for n in names]
        missing = Counter(task.index for task in tasks)
        for answer in _answers(tasks, weights, workers):
            if answer.error:
                raise DeltaChildError(f"cannot encode {inputs[answer.index].name}: {answer.error}")
            best[answer.index] = _better(best[answer.index], answer, folder)
            missing[answer.index] -= 1
            if not missing[answer.index]:
                halves += sizes[answer.index]
                progress(halves // 2, total)
        halves = total
    progress(total, total)
    return [_encoded(each.new, answer, folder) for each, answer in zip(inputs, best, strict=True)]


def run_task(task: Task) -> Answer:
    """Encode, and decode again to see that it gives the same bytes. Never raises."""
    try:
        return _run(task)
    except (OSError, PatchError) as error:
        return Answer(task.index, task.codec, None, f"codec {task.codec}: {error}")
    except MemoryError:
        return Answer(task.index, task.codec, None, f"codec {task.codec}: not enough memory")


def _run(task: Task) -> Answer:
    codec = CODECS.named(task.codec)
    with mapped(task.new) as new, mapped(task.old) as old:
        payload = codec.encode(old, new)
        if payload is None:
            return Answer(task.index, task.codec, None)
        again = bytearray(len(new))
        codec.decode(old, memoryview(payload), memoryview(again))
        if again != new:
            raise PatchError("it does not give back what it encoded")
    task.out.write_bytes(payload)
    return Answer(task.index, task.codec, len(payload))


def _first(each: PatchInput, best: Answer | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new, mapped(each.old) as old:
        return first_pass(CODECS, old, new)


def _second(each: PatchInput, best: Answer | None, tried: list[str]) -> list[str]:
    with mapped(each.new) as new:
        return second_pass(CODECS, new, best.length if best is not None else None, tried)


def _payload(folder: Path, index: int, codec: str) -> Path:
    return folder / f"{index}.{codec}"


def _better(best: Answer | None, answer: Answer, folder: Path) -> Answer | None:
    """The preferred of two answers; the other one's payload is removed."""
    if answer.length is None:
        return best
    if best is None or best.length is None:
        return answer
    first, second = sorted([best, answer], key=lambda a: CODECS.rank(a.codec, a.length or 0))
    _payload(folder, second.index, second.codec).unlink()
    return first


def _encoded(new: Path, answer: Answer | None, folder: Path) -> Encoded:
    assert answer is not None  # noqa: S101 - `full` takes any file
    with mapped(new) as view:
        digest = hashlib.sha256(view).hexdigest()
        return Encoded(
            len(view), digest, answer.codec, _payload(folder, answer.index, answer.codec)
        )


def _answers(tasks: list[Task], weights: list[int], workers: int) -> Iterator[Answer]:
    """The answers to all tasks, in no order; small ones are done here, large ones by workers."""
    large = [task for task in tasks if weights[task.index] >= _WORTH_A_PROCESS]
    # The longest first, so that no processor idles at the end.
    large.sort(key=lambda task: -weights[task.index])
    with _pool(large, min(workers, len(large))) as answers:
        for task in tasks:
            if weights[task.index] < _WORTH_A_PROCESS:
                yield run_task(task)
        for _ in large:
            answer = answers.get()
            if isinstance(answer, Exception):
                raise answer
            yield answer


@contextmanager
def _pool(tasks: list[Task], workers: int) -> Iterator[queue.Queue[Answer | Exception]]:
    """Processes that work on the tasks; their answers come out of the queue."""
    waiting: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in tasks:
        waiting.put(task)
    answers: queue.Queue[Answer | Exception] = queue.Queue()
    processes = [_start() for _ in range(workers)]
    feeders = [
        threading.Thread(target=_feed, args=(process, waiting, answers)) for process in processes
    ]
    try:
        for feeder in feeders:
            feeder.start()
        yield answers
    finally:
        for process in processes:
            process.kill()
        for feeder in feeders:
            feeder.join()
        for process in processes:
            process.communicate()


def _start() -> subprocess.Popen[bytes]:
    # A session of its own: an interruption from the keyboard reaches the parent alone, which ends
    # the workers without a word from them.
    return subprocess.Popen(
        python_command("repoint.delta.encoding"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def _feed(
    process: subprocess.Popen[bytes],
    waiting: queue.SimpleQueue[Task],
    answers: queue.Queue[Answer | Exception],
) -> None:
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    while True:
        try:
            task = waiting.get_nowait()
        except queue.Empty:
            return
        try:
            process.stdin.write(to_line(task))
            process.stdin.flush()
            answers.put(from_line(process.stdout.readline(), Answer))
        except (OSError, ValueError, msgspec.MsgspecError):
            what = f"encoding {task.new} by codec {task.codec} failed: {died(process.wait())}"
            answers.put(DeltaChildError(what))
            return


def main() -> None:
    """The worker: a task a line from standard input, an answer a line to standard output."""
    for line in sys.stdin.buffer:
        answer = run_task(from_line(line, Task))
        sys.stdout.buffer.write(to_line(answer))
        sys.stdout.buffer.flush()
