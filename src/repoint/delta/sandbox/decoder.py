"""The decoding child: open all files, confine the process, decode, verify, sync."""

from __future__ import annotations

import hashlib
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import msgspec

from repoint.delta.codecs import CODECS
from repoint.delta.container import PatchEntry, offsets, parse_patch
from repoint.delta.errors import PatchError
from repoint.delta.mapped import mapped_fd
from repoint.delta.sandbox.confinement import (
    Confinement,
    ResourceLimits,
    confine,
    die_with_parent,
)
from repoint.delta.sandbox.messages import DecodeJob, DecodeOrder, DecodeReport
from repoint.delta.sandbox.process import from_line, to_line
from repoint.fs.durable import write_all

_SPARE_MEMORY = 512 << 20
"""Bytes for the header (at most 72 MiB, three times), windows, stacks and the interpreter."""
_SPARE_FILES = 16


class _OpenJob(msgspec.Struct, frozen=True):
    """A job with the descriptors of its files."""

    job: DecodeJob
    old: int | None
    new: int


def main() -> None:
    """Read the order from standard input, report to standard output, exit with status 0."""
    order = from_line(sys.stdin.buffer.readline(), DecodeOrder)
    die_with_parent(order.parent)
    _send(_report_of(order))
    # The interpreter's clean-up is neither needed nor possible in the confined process.
    os._exit(0)


def _report_of(order: DecodeOrder) -> DecodeReport:
    """Carry out an order and return the last report."""
    try:
        return DecodeReport(confinement=_work(order))
    except PatchError as error:
        return DecodeReport(error=str(error), about_patch=True)
    except MemoryError:
        return DecodeReport(error="it needs more memory than its files justify")
    except OSError as error:
        file = f": {error.filename}" if error.filename else ""
        return DecodeReport(error=f"{error.strerror or error}{file}")


def _work(order: DecodeOrder) -> Confinement:
    bound = len(order.jobs) * 2 + _SPARE_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= bound:
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
    patch = os.open(order.patch, os.O_RDONLY)
    opened = [_open(job, order.out_dir / str(order.first + i)) for i, job in enumerate(order.jobs)]
    prepare()
    confinement = confine(_limits(patch, opened, order.seconds, bound))
    _decode(patch, opened, lambda done: _send(DecodeReport(done=done)))
    for each in opened:
        os.fsync(each.new)
    return confinement


def _open(job: DecodeJob, out: Path) -> _OpenJob:
    """Open the files of a job, and reserve the space of the new one.

    If the disk filled up later, a write to the mapped file would kill the process by a signal.
    """
    old = None if job.source is None else os.open(job.source, os.O_RDONLY)
    new = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    if job.size:
        try:
            os.posix_fallocate(new, 0, job.size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(out)) from error
    return _OpenJob(job, old, new)


def prepare() -> None:
    """Load everything that decoding loads at its first use: no file can be opened later."""
    import repoint.delta.zstd  # noqa: F401 - for the header

    for codec in CODECS:
        codec.prepare()
    hashlib.sha256(b"").hexdigest()


def _limits(patch: int, opened: list[_OpenJob], seconds: int, files: int) -> ResourceLimits:
    """Return limits for one file at a time, mapped and held once more by a codec."""
    pairs = [each.job.size + (_size(each.old) if each.old is not None else 0) for each in opened]
    return ResourceLimits(
        memory=2 * max(pairs, default=0) + 2 * _size(patch) + _SPARE_MEMORY,
        file=max((each.job.size for each in opened), default=0),
        seconds=seconds,
        files=files,
    )


def _size(fd: int) -> int:
    return os.fstat(fd).st_size


def _decode(patch: int, opened: list[_OpenJob], progress: Callable[[int], None]) -> None:
    """Decode every job from the patch into its file.

    Raises:
        PatchError: See `decode_in_child`.
    """
    with mapped_fd(patch) as whole:
        header, start = parse_patch(whole)
        entries = {entry.name: (entry, offset) for entry, offset in offsets(header, start)}
        done = 0
        for each in opened:
            if each.job.name not in entries:
                raise PatchError(f"the patch does not have the file {each.job.name}")
            entry, offset = entries[each.job.name]
            try:
                _decode_one(each, entry, whole[offset : offset + entry.length])
            except PatchError as error:
                raise PatchError(f"{each.job.name}: {error.message}", hint=error.hint) from error
            done += each.job.size
            progress(done)


def _decode_one(each: _OpenJob, entry: PatchEntry, payload: memoryview) -> None:
    job = each.job
    if (entry.size, entry.sha256) != (job.size, job.sha256):
        raise PatchError("the patch gives another file than the one that is signed")
    if entry.source and each.old is None:
        raise PatchError(f"the patch needs the old file {entry.source}")
    with mapped_fd(each.new, writable=True) as new:
        if entry.source and each.old is not None:
            with mapped_fd(each.old) as old:
                CODECS.named(entry.codec).decode(old, payload, new)
        else:
            CODECS.named(entry.codec).decode(memoryview(b""), payload, new)
        if hashlib.sha256(new).hexdigest() != job.sha256:
            raise PatchError("decoding does not give the file that is signed")


def _send(report: DecodeReport) -> None:
    write_all(1, to_line(report))
