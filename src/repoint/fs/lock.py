"""Advisory locks on files and folders, with flock(2).

The kernel releases a lock when the last descriptor of its open file is closed, so a process that is
killed leaves no lock behind. Locks count between threads of one process too, because each call
opens the file anew.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_POLL_INTERVAL = 0.05
"""Seconds between two attempts to take a lock that another process holds."""

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


@dataclass(frozen=True)
class Lock:
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
    wait: float | None = 0.0,
    on_wait: Callable[[bytes], None] | None = None,
) -> Iterator[Lock]:
    """Hold an exclusive lock on a file while the block runs.

    The file is created if necessary and never removed: removal would let two processes lock two
    files of the same name. Its mode does not depend on the umask. Whoever may open the file, even
    only for reading, can lock it, so by default nobody but its owner may.

    Args:
        path: The lock file. A symbolic link is refused.
        mode: Permission bits of the file.
        wait: Seconds to wait for another holder; ``None`` waits without a limit.
        on_wait: Called once with the holder's note before waiting.

    Raises:
        LockHeldError: Another process still held the lock after ``wait`` seconds.
        OSError: The file cannot be opened.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    descriptor = os.open(path, flags, mode)
    try:
        if stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
            os.fchmod(descriptor, mode)
        _acquire(path, descriptor, wait, on_wait)
        yield Lock(descriptor)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def exclusive_folder_lock(folder: Path) -> Iterator[None]:
    """Hold an exclusive lock on an existing folder while the block runs.

    Raises:
        LockHeldError: Another process holds a lock on it.
        OSError: It cannot be opened.
    """
    descriptor = _open_folder(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockHeldError(folder, b"") from None
        yield
    finally:
        os.close(descriptor)


def share_folder_lock(folder: Path) -> int:
    """Take a shared lock on a folder, waiting for an exclusive one to end.

    Returns:
        The descriptor that holds the lock. The caller closes it or lets a child inherit it.

    Raises:
        OSError: It cannot be opened.
    """
    descriptor = _open_folder(folder)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def is_folder_locked(folder: Path) -> bool:
    """Return whether a process holds a lock on a folder.

    Raises:
        OSError: It cannot be opened.
    """
    try:
        with exclusive_folder_lock(folder):
            return False
    except LockHeldError:
        return True


def _acquire(
    path: Path, descriptor: int, wait: float | None, on_wait: Callable[[bytes], None] | None
) -> None:
    deadline = time.monotonic() + (wait or 0.0)
    waited = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            note = os.pread(descriptor, _NOTE_LIMIT, 0)
            if wait is not None and time.monotonic() >= deadline:
                raise LockHeldError(path, note) from None
            if not waited and on_wait is not None:
                on_wait(note)
            waited = True
            if wait is None:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                return
            time.sleep(_POLL_INTERVAL)
        else:
            return


def _open_folder(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
