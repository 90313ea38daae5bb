"""What runs in the decoding process: open, confine, decode, verify, sync."""

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
from repoint.delta.sandbox.confinement import Confinement, Limits, confine, die_with_parent
from repoint.delta.sandbox.process import from_line, to_line

_SPARE_MEMORY = 512 << 20
"""For the header (at most 72 MiB, three times over), windows, stacks and the interpreter."""
_SPARE_FILES = 16


class DecodeJob(msgspec.Struct, frozen=True):
    """One file to make.

    Attributes:
        name: What it is called in the patch.
        source: The old file that the patch's entry is made from; None where it needs none.
        size: The length in bytes that it must have.
        sha256: The SHA-256 that it must have, in lower-case hexadecimal digits.
    """

    name: str
    source: Path | None
    size: int
    sha256: str


class DecodeOrder(msgspec.Struct, frozen=True):
    """What the parent wants: job i goes to the file `out_dir/str(first + i)`."""

    patch: Path
    out_dir: Path
    first: int
    jobs: tuple[DecodeJob, ...]
    seconds: int
    parent: int


class DecodeReport(msgspec.Struct, frozen=True):
    """One line to the parent: bytes made so far; at the end the confinement or an error."""

    done: int = 0
    confinement: Confinement | None = None
    error: str = ""
    about_patch: bool = False


class _Opened(msgspec.Struct, frozen=True):
    job: DecodeJob
    old: int | None
    new: int


def main() -> None:
    """Take the order from standard input, report to standard output, end with status 0."""
    order = from_line(sys.stdin.buffer.readline(), DecodeOrder)
    die_with_parent(order.parent)
    _send(_attempt(order))
    # Nothing of what an interpreter does at its end is needed or allowed.
    os._exit(0)


def _attempt(order: DecodeOrder) -> DecodeReport:
    try:
        return DecodeReport(confinement=_work(order))
    except PatchError as error:
        return DecodeReport(error=str(error), about_patch=True)
    except MemoryError:
        return DecodeReport(error="it needs more memory than its files justify")
    except OSError as error:
        where = f": {error.filename}" if error.filename else ""
        return DecodeReport(error=f"{error.strerror or error}{where}")


def _work(order: DecodeOrder) -> Confinement:
    bound = len(order.jobs) * 2 + _SPARE_FILES
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY or hard >= bound:
        resource.setrlimit(resource.RLIMIT_NOFILE, (bound, hard))
    patch = os.open(order.patch, os.O_RDONLY)
    opened = [_open(job, order.out_dir / str(order.first + i)) for i, job in enumerate(order.jobs)]
    _warm_up()
    confinement = confine(_limits(patch, opened, order.seconds, bound))
    _decode(patch, opened, lambda done: _send(DecodeReport(done=done)))
    for each in opened:
        os.fsync(each.new)
    return confinement


def _open(job: DecodeJob, out: Path) -> _Opened:
    """Open a job's files; the space that the new one takes is reserved now.

    A mapped file that finds the disk full would end the process without a word.
    """
    old = None if job.source is None else os.open(job.source, os.O_RDONLY)
    new = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    if job.size:
        try:
            os.posix_fallocate(new, 0, job.size)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(out)) from error
    return _Opened(job, old, new)


def _warm_up() -> None:
    """Load everything that decoding loads at its first use: no file can be opened later."""
    import repoint.delta.zstd  # noqa: F401 - for the header

    for codec in CODECS:
        codec.prepare()
    hashlib.sha256(b"").hexdigest()


def _limits(patch: int, opened: list[_Opened], seconds: int, files: int) -> Limits:
    """Each file is mapped, and a codec may hold it once more; one at a time."""
    pairs = [each.job.size + (_size(each.old) if each.old is not None else 0) for each in opened]
    return Limits(
        memory=2 * max(pairs, default=0) + 2 * _size(patch) + _SPARE_MEMORY,
        file=max((each.job.size for each in opened), default=0),
        seconds=seconds,
        files=files,
    )


def _size(fd: int) -> int:
    return os.fstat(fd).st_size


def _decode(patch: int, opened: list[_Opened], progress: Callable[[int], None]) -> None:
    """Decode every job from the patch into its file.

    Raises:
        PatchError: See `decode_in_child`.
    """
    with mapped_fd(patch) as whole:
        header, start = parse_patch(whole)
        places = {entry.name: (entry, offset) for entry, offset in offsets(header, start)}
        done = 0
        for each in opened:
            if each.job.name not in places:
                raise PatchError(f"the patch does not have the file {each.job.name}")
            entry, offset = places[each.job.name]
            try:
                _decode_one(each, entry, whole[offset : offset + entry.length])
            except PatchError as error:
                raise PatchError(f"{each.job.name}: {error.message}", hint=error.hint) from error
            done += each.job.size
            progress(done)


def _decode_one(each: _Opened, entry: PatchEntry, payload: memoryview) -> None:
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
    line = to_line(report)
    while line:
        line = line[os.write(1, line) :]
