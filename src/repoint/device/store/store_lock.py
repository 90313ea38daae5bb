"""The lock of the store: one command at a time changes it, the others wait and name the holder."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from repoint.device.errors import StoreBusyError, StoreDamagedError
from repoint.device.os_errors import explained
from repoint.fs.durable import make_folder
from repoint.fs.lock import Lock, LockHeldError, exclusive_lock
from repoint.fs.trusted import UntrustedFileError, require_trusted_way


class Holder(msgspec.Struct, frozen=True):
    """The command that holds the lock. ``since`` is in seconds since 1970."""

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
    on_wait: Callable[[Holder | None], None] | None = None,
) -> Iterator[None]:
    """Hold the store's lock while the block runs.

    Args:
        store: The store's folder; created if it does not exist.
        command: The command that holds the lock, shown to others that wait.
        wait: Seconds to wait for another command before giving up.
        on_wait: Called once with the current holder before waiting.

    Raises:
        StoreBusyError: Another command still held the lock after ``wait`` seconds.
        StoreDamagedError: Another account could change the store.
        StoreWriteError: There is no right to change the store.
    """
    on_note = None if on_wait is None else (lambda note: on_wait(_holder(note)))
    try:
        with store_file_lock(store, "lock", wait=wait, on_wait=on_note) as lock:
            with contextlib.suppress(OSError):  # a full disk must not stop a removal
                holder = Holder(os.getpid(), command, int(time.time()))
                lock.write_note(msgspec.json.encode(holder))
            yield
    except LockHeldError as error:
        raise StoreBusyError(
            f"{_holder(error.note) or 'Another command'} is changing the store",
            hint="Wait until it is done, then try again",
        ) from None


@contextlib.contextmanager
def store_file_lock(
    store: Path,
    name: str,
    *,
    wait: float = 0.0,
    on_wait: Callable[[bytes], None] | None = None,
) -> Iterator[Lock]:
    """Hold an exclusive lock on a file of the store, which is created if it does not exist.

    Raises:
        LockHeldError: Another process still held the lock after ``wait`` seconds.
        StoreDamagedError: Another account could change the store.
        StoreWriteError: There is no right to change the store.
    """
    with contextlib.ExitStack() as stack:
        with explained(f"change the store {store}"):
            while True:
                if not os.path.lexists(store):
                    _require_right_to_create(store)
                    require_own(store)  # before root makes a folder where a link leads
                make_folder(store)
                if not os.access(store, os.W_OK, effective_ids=True):
                    raise _no_right_to_write(store)
                require_own(store)  # before a lock file is opened that another account put there
                path = store / name
                lock = stack.enter_context(exclusive_lock(path, wait=wait, on_wait=on_wait))
                if _is_in_place(path, lock):
                    break
                # An enrolment was refused meanwhile, and has removed the store that it had made.
                stack.close()
        yield lock


def _is_in_place(path: Path, lock: Lock) -> bool:
    try:
        return os.path.samestat(path.lstat(), os.fstat(lock.descriptor))
    except FileNotFoundError:
        return False


def require_own(store: Path) -> None:
    """Refuse a store that another account could change while a command works on it.

    Raises:
        StoreDamagedError: The store or a folder above it belongs to another user who is not root,
            or others may write to it.
    """
    me = os.geteuid()
    for folder in (store, store / "trees", store / "products", *store.resolve().parents):
        try:
            status = folder.stat()
        except FileNotFoundError:
            continue
        inside = folder.is_relative_to(store)
        if status.st_uid != me and (inside or status.st_uid != 0):
            raise StoreDamagedError(
                f"{folder} belongs to another user, who could change the store {store}",
                hint="Run it as that user, or name another store with --store",
            )
        # In a sticky folder such as /tmp, nobody can rename what belongs to another account.
        if status.st_mode & 0o022 and (inside or not status.st_mode & stat.S_ISVTX):
            raise StoreDamagedError(
                f"Others may write to {folder}, and could change the store {store}",
                hint=f"Take that right away with `chmod go-w {folder}`",
            )
    _require_way(store)


def _require_right_to_create(store: Path) -> None:
    above = next(folder for folder in store.absolute().parents if folder.exists())
    if above.is_dir() and not os.access(above, os.W_OK, effective_ids=True):
        raise _no_right_to_write(above)


def _no_right_to_write(folder: Path) -> OSError:
    code = errno.EROFS if os.statvfs(folder).f_flag & os.ST_RDONLY else errno.EACCES
    return OSError(code, os.strerror(code), str(folder))


def _require_way(store: Path) -> None:
    """Refuse a store that a link of another account leads to; it may lead elsewhere any time."""
    try:
        require_trusted_way(store, {0, os.geteuid()})
    except FileNotFoundError:
        pass  # what is there of the way is trusted
    except UntrustedFileError as error:
        raise StoreDamagedError(
            f"{error}, on the way to the store {store}",
            hint=f"{error.remedy}, or name another store with --store",
        ) from None


def _holder(note: bytes) -> Holder | None:
    try:
        return msgspec.json.decode(note, type=Holder)
    except msgspec.DecodeError:
        return None
