"""One command at a time changes the store; the others wait, and can say for whom."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from repoint.device.errors import StoreBusyError, StoreDamagedError
from repoint.device.os_errors import explained
from repoint.fs.durable import make_folder


class Holder(msgspec.Struct, frozen=True):
    """Who is changing the store. ``since`` is in seconds since 1970."""

    pid: int
    command: str
    since: int

    def __str__(self) -> str:
        return f"`{self.command}` (process {self.pid})"


@contextlib.contextmanager
def locked(
    store: Path,
    command: str,
    *,
    wait: float = 60.0,
    waiting: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold the store's lock. The kernel lets go of it when the process ends, however it ends.

    Args:
        store: The store's folder; made if it does not exist.
        command: What is being done, told to others who wait.
        wait: Seconds to wait for another command before giving up.
        waiting: Told once who is at work, if there is need to wait.

    Raises:
        StoreBusyError: Another command was still at work after ``wait`` seconds.
        StoreDamagedError: Somebody else may change the store.
        CannotWriteError: The person may not change the store.
    """
    with opened_lock(store, "lock") as descriptor:
        _acquire(descriptor, wait, waiting)
        with contextlib.suppress(OSError):  # on a full disk nobody is told who is at work
            holder = Holder(os.getpid(), command, int(time.time()))
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, msgspec.json.encode(holder), 0)
        yield


@contextlib.contextmanager
def opened_lock(store: Path, name: str) -> Iterator[int]:
    """Open a file of a store to lock it by, and make what is written meanwhile readable for all.

    Args:
        store: The store, which is made where it is missing.
        name: The file's name.

    Raises:
        StoreDamagedError: Somebody else may change the store.
        CannotWriteError: The person may not change the store.
    """
    # Programs of all users run from the store, and nobody else may write to it, whatever the
    # person's own habit is.
    mask = os.umask(0o022)
    descriptor = -1
    try:
        with explained(f"change the store {store}"):
            make_folder(store)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            descriptor = os.open(store / name, flags, 0o644)
        require_own(store)
        yield descriptor
    finally:
        os.umask(mask)
        if descriptor >= 0:
            os.close(descriptor)


def require_own(store: Path) -> None:
    """Refuse a store that somebody else may change: what they swap while we work, we would trust.

    Raises:
        StoreDamagedError: It, or a folder that it lies in, belongs to another user who is not
            root, or others may write there.
    """
    me = os.geteuid()
    for folder in (store, store / "trees", store / "products", *store.resolve().parents):
        try:
            found = folder.stat()
        except FileNotFoundError:
            continue
        inside = folder.is_relative_to(store)
        if found.st_uid != me and (inside or found.st_uid != 0):
            raise StoreDamagedError(
                f"{folder} belongs to another user, who could change the store {store}",
                hint="Run it as that user, or name another store with --store",
            )
        # In a sticky folder, such as /tmp, nobody renames what is another's.
        if found.st_mode & 0o022 and (inside or not found.st_mode & stat.S_ISVTX):
            raise StoreDamagedError(
                f"Others may write to {folder}, and could change the store {store}",
                hint=f"Take that right away with `chmod go-w {folder}`",
            )


def _acquire(descriptor: int, wait: float, waiting: Callable[[Holder | None], None] | None) -> None:
    deadline = time.monotonic() + wait
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(descriptor)
            if time.monotonic() >= deadline:
                raise StoreBusyError(
                    f"{holder or 'Another command'} is changing the store",
                    hint="Wait until it is done, then try again",
                ) from None
            if not told and waiting is not None:
                waiting(holder)
            told = True
            time.sleep(0.05)
        else:
            return


def _holder(descriptor: int) -> Holder | None:
    with contextlib.suppress(msgspec.DecodeError):
        return msgspec.json.decode(os.pread(descriptor, 4096, 0), type=Holder)
    return None
