"""Advisory locks on files and folders.

The kernel releases a lock when the last descriptor of its open file is closed, so a process that is
killed leaves no lock behind. Locks count between threads of one process too, because each call
opens the file anew.

Lock files are locked with flock(2). Whoever may open one can lock it, so they are private. Folders
that others may read are held with an open file description lock (fcntl(2)): a shared one needs
read permission, and an exclusive one write permission, which nobody has on a folder. So everybody
can hold such a folder, and nobody can keep others from holding it.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from repoint.fs.folders import open_folder
from repoint.fs.regular import open_regular

_POLL_INTERVAL = 0.05
"""Seconds between two attempts to take a lock that another process holds."""

_FLOCK = struct.Struct("hhqqi4x")
"""``struct flock`` with offsets of 64 bits: type, whence, start, length, pid."""

_NOTE_LIMIT = 4096
"""Bytes of a holder's note that are read."""


class LockHeldError(Exception):
    """Another process holds the lock.

    Attributes:
        note: What the holder wrote into the lock file; may be empty or out of date.
    """

    def __init__(self, path: Path, note: bytes) -> None:
        super().__init__(f"{path} is locked")
        self.note = note


class Lock(msgspec.Struct, frozen=True):
    """A lock that is held.

    Attributes:
        descriptor: The open lock file.
    """

    descriptor: int

    def write_note(self, note: bytes) -> None:
        """Replace the note that `LockHeldError` shows to others.

        Raises:
            OSError: The disk is full.
        """
        os.ftruncate(self.descriptor, 0)
        os.pwrite(self.descriptor, note, 0)


@contextlib.contextmanager
def exclusive_lock(
    path: Path,
    *,
    mode: int = 0o600,
    wait: float = 0.0,
    on_wait: Callable[[bytes], None] | None = None,
) -> Iterator[Lock]:
    """Hold an exclusive lock on a file while the block runs.

    The file is created if necessary and never removed: removal would let two processes lock two
    files of the same name. Its mode does not depend on the umask. Whoever may open the file, even
    only for reading, can lock it, so by default nobody but its owner may.

    Args:
        path: The lock file. A symbolic link is refused.
        mode: Permission bits of the file.
        wait: Seconds to wait for another holder.
        on_wait: Called once with the holder's note before waiting.

    Raises:
        LockHeldError: Another process still held the lock after ``wait`` seconds.
        NotAFileError: It is something else than a file.
        OSError: The file cannot be opened.
    """
    descriptor = open_regular(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, mode)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
        _acquire(path, descriptor, wait, on_wait)
        yield Lock(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing private folder while the block runs.

    Raises:
        LockHeldError: Another process holds a lock on it.
        OSError: It cannot be opened.
    """
    descriptor = open_folder(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeldError(folder, b"") from None
        yield
    finally:
        os.close(descriptor)


def hold_folder(descriptor: int) -> None:
    """Hold an open folder until the descriptor, and all that were inherited from it, are closed.

    This never waits, and any number of processes can hold one folder.

    Raises:
        OSError: The file system has no locks.
    """
    fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _whole_file(fcntl.F_RDLCK))


def is_folder_held(folder: Path) -> bool:
    """Return whether a process holds a folder: see `hold_folder`.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = open_folder(folder)
    try:
        # The question whether an exclusive lock would be possible needs no right to take one.
        answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _whole_file(fcntl.F_WRLCK))
        return bool(_FLOCK.unpack(answer)[0] != fcntl.F_UNLCK)
    finally:
        os.close(descriptor)


def _acquire(
    path: Path, descriptor: int, wait: float, on_wait: Callable[[bytes], None] | None
) -> None:
    deadline = time.monotonic() + wait
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = os.pread(descriptor, _NOTE_LIMIT, 0)
            if time.monotonic() >= deadline:
                raise LockHeldError(path, note) from None
            if not waited and on_wait is not None:
                on_wait(note)
            waited = True
            time.sleep(_POLL_INTERVAL)
        else:
            return


def _whole_file(kind: int) -> bytes:
    return _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0)
