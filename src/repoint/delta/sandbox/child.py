"""The parent's side of decoding: start a confined child, pass it an order, check its output.

The parent never parses the patch and opens nothing. It trusts nothing that the child sends except
that the process ended; the caller verifies the seal of the output.
"""

from __future__ import annotations

import os
import selectors
import stat
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from repoint.delta.errors import DeltaChildError, PatchError
from repoint.delta.sandbox.confinement import Confinement
from repoint.delta.sandbox.messages import DecodeJob, DecodeOrder, DecodeReport
from repoint.delta.sandbox.process import (
    describe_exit,
    exit_hint,
    from_line,
    python_command,
    python_environment,
    to_line,
)
from repoint.fs.durable import sync
from repoint.fs.holes import dig_holes
from repoint.model.printable import one_line

__all__ = ["Confinement", "DecodeJob", "decode_in_child"]

_BATCH = 512
"""Jobs per process: each holds two files open, and the strictest systems allow 4096."""
_SECONDS_AT_LEAST = 60.0
_BYTES_PER_SECOND = 1 << 20
"""A hundredth of what codecs reach, and what a worn memory card still writes."""
_LONGEST_LINE = 64 << 10
_LONGEST_WAIT = 3600.0
"""Seconds of one wait; `select` refuses much longer ones."""
_LONGEST_MESSAGE = 500
_MAY_BE_SPARSE = 1 << 20
"""Bytes of a file from which its zeros become holes: the decoder reserves the whole file."""


def decode_in_child(
    patch: Path,
    jobs: Sequence[DecodeJob],
    out_dir: Path,
    *,
    seconds: float | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Confinement:
    """Decode the file of job i to `out_dir/i`; all of them, or none.

    Every file has the size and SHA-256 of its job, is synced, and belongs to this user (mode 0600).
    Long runs of zeros are holes.

    Args:
        patch: The patch; its bytes may be hostile.
        jobs: The files to decode. Sizes and digests come from signed data and set the limits.
        out_dir: An empty folder.
        seconds: Time allowed for everything; by default a minute, plus a second per MiB of output.
        progress: Called with the number of bytes decoded and the total.

    Returns:
        Which layers of the confinement the kernel offers.

    Raises:
        PatchError: The patch is malformed, truncated or tampered with, lacks a file, or does not
            give the expected content.
        DeltaChildError: The child needs too much memory or time, the disk is full, a file cannot
            be read or written, or the child crashed.
    """
    total = sum(job.size for job in jobs)
    if seconds is None:
        seconds = _SECONDS_AT_LEAST + total / _BYTES_PER_SECOND
    deadline = time.monotonic() + seconds
    report = progress or _silent
    patch, out_dir = patch.absolute(), out_dir.absolute()
    jobs = [
        msgspec.structs.replace(job, source=job.source and job.source.absolute()) for job in jobs
    ]
    with _all_or_nothing(out_dir):
        report(0, total)
        done = 0
        confinement: Confinement | None = None
        # One process even without jobs, so that a damaged patch is always refused.
        for first in range(0, len(jobs) or 1, _BATCH):
            batch = tuple(jobs[first : first + _BATCH])
            order = DecodeOrder(patch, out_dir, first, batch, max(1, int(seconds) + 1), os.getpid())

            def batch_progress(decoded: int, before: int = done) -> None:
                report(before + decoded, total)

            confinement = _run(order, deadline, batch_progress)
            done += sum(job.size for job in batch)
        _check_output(jobs, out_dir)
    assert confinement is not None  # noqa: S101 - at least one process ran
    return confinement


@contextmanager
def _all_or_nothing(out_dir: Path) -> Iterator[None]:
    """Empty the folder again after any error."""
    try:
        if any(out_dir.iterdir()):
            raise DeltaChildError(f"the folder to decode into is not empty: {out_dir}")
    except OSError as error:
        raise DeltaChildError(f"cannot use the folder {out_dir}: {error.strerror}") from error
    try:
        yield
        sync(out_dir.resolve())
    except BaseException:
        for entry in out_dir.iterdir():
            entry.unlink()
        raise


def _run(order: DecodeOrder, deadline: float, progress: Callable[[int], None]) -> Confinement:
    with subprocess.Popen(
        python_command("repoint.delta.sandbox.decoder"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        # An interruption from the keyboard is for the parent to handle.
        start_new_session=True,
        cwd="/",
        env=python_environment(),
    ) as process:
        try:
            return _converse(process, order, deadline, progress)
        finally:
            process.kill()


def _converse(
    process: subprocess.Popen[bytes],
    order: DecodeOrder,
    deadline: float,
    progress: Callable[[int], None],
) -> Confinement:
    assert process.stdin and process.stdout  # noqa: S101 - both are pipes
    try:
        with process.stdin as pipe:
            pipe.write(to_line(order))
    except BrokenPipeError:
        pass  # the child has ended; its output or status says why
    size = sum(job.size for job in order.jobs)
    for line in _lines(process.stdout.fileno(), deadline, order.patch):
        try:
            report = from_line(line, DecodeReport)
        except msgspec.MsgspecError as error:
            raise _failed(order.patch, "its process sent an unintelligible answer") from error
        if report.error:
            kind = PatchError if report.about_patch else DeltaChildError
            raise kind(f"cannot apply {order.patch}: {one_line(report.error[:_LONGEST_MESSAGE])}")
        if report.confinement:
            return report.confinement
        progress(max(0, min(report.done, size)))
    code = process.wait()
    raise _failed(order.patch, describe_exit(code), hint=exit_hint(code))


def _lines(fd: int, deadline: float, patch: Path) -> Iterator[bytes]:
    """Yield the lines from a pipe until it is closed.

    Raises:
        DeltaChildError: The deadline passed, or a line is too long.
    """
    buffer = b""
    with selectors.DefaultSelector() as selector:
        selector.register(fd, selectors.EVENT_READ)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise _failed(patch, "it took longer than allowed")
            if not selector.select(min(left, _LONGEST_WAIT)):
                continue
            chunk = os.read(fd, _LONGEST_LINE)
            if not chunk:
                return
            *lines, buffer = (buffer + chunk).split(b"\n")
            if len(buffer) > _LONGEST_LINE:
                raise _failed(patch, "its process sent an unintelligible answer")
            yield from lines


def _check_output(jobs: Sequence[DecodeJob], out_dir: Path) -> None:
    names = {entry.name for entry in out_dir.iterdir()}
    if names != {str(i) for i in range(len(jobs))}:
        raise PatchError("decoding left other files than expected")
    for i, job in enumerate(jobs):
        status = (out_dir / str(i)).lstat()
        if not stat.S_ISREG(status.st_mode) or status.st_size != job.size:
            raise PatchError(f"decoding did not give the expected file: {job.name}")
        if job.size >= _MAY_BE_SPARSE:
            _free_zeros(out_dir / str(i))


def _free_zeros(path: Path) -> None:
    """Make the zeros of a file holes, and sync it."""
    try:
        file = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            dig_holes(file)
            os.fsync(file)
        finally:
            os.close(file)
    except OSError as error:
        raise DeltaChildError(f"cannot write {path}: {error.strerror}") from error


def _failed(patch: Path, reason: str, hint: str = "") -> DeltaChildError:
    return DeltaChildError(f"cannot apply {patch}: {reason}", hint=hint)


def _silent(_done: int, _total: int) -> None: ...
