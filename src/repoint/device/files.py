"""Small durable changes to files: written beside, synced, and renamed into place."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec

from repoint.device.errors import CannotWriteError
from repoint.seal.build import sync

Note = TypeVar("Note", bound=msgspec.Struct)


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's content; the commit point is the rename."""
    beside = path.with_name(f".new-{path.name}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    sync(path.parent)


def make_folder(path: Path) -> None:
    """Make a folder, and the folders above it, so that their names last through a power loss."""
    if path.is_dir():
        return
    make_folder(path.parent)
    path.mkdir(exist_ok=True)
    with contextlib.suppress(PermissionError):  # above the store, we may not be able to look
        sync(path.parent.resolve())


def point(link: Path, target: str) -> None:
    """Point a symbolic link at a target; the commit point is the rename."""
    beside = link.with_name(f".new-{link.name}")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target)
    beside.replace(link)
    sync(link.parent)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of it, however little the system takes at a time."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def append_durably(path: Path, line: bytes) -> None:
    """Add one line to a file, and sync it."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        # A line that was cut off by a power loss must not swallow the next one.
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_note(path: Path, kind: type[Note]) -> Note | None:
    """A record that can be done without: nothing where it is missing or damaged."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except (OSError, msgspec.DecodeError):
        return None


NOTHING_CHANGED = "nothing was changed"
COMPLETED_NEXT = "the next command finishes what was begun, or undoes it"


@contextlib.contextmanager
def explained(doing: str, outcome: str = NOTHING_CHANGED) -> Iterator[None]:
    """Turn the operating system's refusals into an error that says what to do.

    Args:
        doing: What was being done, as in "prepare 26.3.1 (a)".
        outcome: What has become of it; ``COMPLETED_NEXT`` from the commit point on.

    Raises:
        CannotWriteError: The disk is full, or the person has no right to write there.
    """
    try:
        yield
    except OSError as error:
        # Of two names, the first is what a link points to or a rename starts from.
        place = error.filename2 or error.filename
        where = f" at {place}" if place else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise CannotWriteError(
                f"The disk is full: could not {doing}{where}",
                hint=f"Free some space and try again; {outcome}",
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise CannotWriteError(
                f"No right to {doing}{where}",
                hint=f"Run it as the user who owns it, or as root{_unless_nothing(outcome)}",
            ) from error
        raise CannotWriteError(
            f"Could not {doing}{where}: {os.strerror(error.errno or 0)}",
            hint=f"Try again; {outcome}",
        ) from error


def _unless_nothing(outcome: str) -> str:
    return "" if outcome == NOTHING_CHANGED else f"; {outcome}"
