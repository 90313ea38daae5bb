"""Folders by descriptor, so that names which others exchange meanwhile lead nowhere else.

A path is looked up again at every use, and may lead through a link that was not there before. A
descriptor keeps naming the folder that was opened.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TypeVar

Item = TypeVar("Item")

_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_AT_SYMLINK_NOFOLLOW = 0x100  # linux/fcntl.h

_MOST_OPEN = 32
"""Descriptors that a `Descent` keeps open: far below any limit, whatever the depth of the tree."""


_MANY, _BATCH, _THREADS = 4000, 500, 4
"""Files that are worth several threads, files of a batch, and threads."""

_LONGEST = 1 << 16
"""Characters of the longest path: far more than programs can use (PATH_MAX is 4,096), and a limit
to what a hostile tree costs."""


def open_folder(path: str | Path, *, within: int | None = None) -> int:
    """Open a folder for reading. A symbolic link in its place is refused.

    Args:
        path: The folder. Links above it are followed.
        within: The descriptor of the folder that a relative path starts from.

    Raises:
        OSError: It is no folder, or cannot be opened.
    """
    return os.open(path, _FLAGS, dir_fd=within)


def open_regular(name: str, *, within: int) -> int:
    """Open a regular file for reading. A link, device, pipe or socket in its place is refused.

    Raises:
        OSError: It is something else, or cannot be opened.
    """
    # Without O_NONBLOCK, a pipe would be waited for.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
    descriptor = os.open(name, flags, dir_fd=within)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "It is not a regular file", name)
    return descriptor


class Descent:
    """The folders below one folder, opened one after the other without following any link.

    Args:
        root: The descriptor of the folder at the top, which stays the caller's.
    """

    def __init__(self, root: int) -> None:
        self._root = root
        self._path = ""
        self._open: list[int] = []  # the folder at `_path` and those above it, the nearest ones

    def __enter__(self) -> Descent:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._leave("")

    def open(self, path: str) -> int:
        """Return the descriptor of a folder; it is valid until the next call.

        Args:
            path: The folder, relative to the top; empty for the top itself.

        Raises:
            OSError: One of the names on the way is no folder, or cannot be opened, or the path is
                too long.
        """
        if len(path) > _LONGEST:
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if path != self._path:
            self._leave(_shared(path, self._path))
            for name in path[len(self._path) :].split("/"):
                if name:
                    self._enter(name)
            self._path = path
        return self._here()

    def _here(self) -> int:
        return self._open[-1] if self._open else self._root

    def _enter(self, name: str) -> None:
        self._open.append(open_folder(name, within=self._here()))
        self._path = f"{self._path}/{name}" if self._path else name
        if len(self._open) > _MOST_OPEN:
            os.close(self._open.pop(0))

    def _leave(self, path: str) -> None:
        """Go up to a folder above, or to the top if that one is not open any more."""
        levels = self._path[len(path) :].lstrip("/").count("/") + 1 if self._path != path else 0
        for _ in range(min(levels, len(self._open))):
            os.close(self._open.pop())
        self._path = path if self._open else ""


def in_batches(items: Sequence[Item], work: Callable[[Sequence[Item]], None]) -> None:
    """Work on the files of a tree, on several batches at a time if there are many files.

    Most of the time to create and to remove files passes in the kernel, which then uses the other
    processors, or waits for the disk. Each batch needs a `Descent` of its own.

    Args:
        items: The files, those of one folder next to each other.
        work: Works on a batch of them, in any thread.

    Raises:
        BaseException: What the work raises first; batches that have not begun are left out.
    """
    if len(items) < _MANY:
        work(items)
        return
    from concurrent.futures import ThreadPoolExecutor  # delays the start of every command

    with ThreadPoolExecutor(_THREADS) as threads:
        batches = (items[at : at + _BATCH] for at in range(0, len(items), _BATCH))
        begun = [threads.submit(work, batch) for batch in batches]
        try:
            for batch in begun:
                batch.result()
        except BaseException:
            threads.shutdown(cancel_futures=True)
            raise


def _shared(one: str, other: str) -> str:
    """Return the nearest folder that holds both folders, or is one of them."""
    while one != other and not one.startswith(f"{other}/"):
        other = other.rpartition("/")[0]
        if not other:
            break
    return other


def change_mode(name: str, mode: int, *, within: int) -> None:
    """Set the permissions of a file or folder that need not be readable. Links are refused.

    Raises:
        OSError: It is a link, belongs to another account, or the C library cannot do that.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.fchmodat(within, os.fsencode(name), mode, _AT_SYMLINK_NOFOLLOW) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), name)


class located:  # noqa: N801  # used for each file: a generator function is slow
    """Name the whole path in an error of a call that was given only its last part."""

    __slots__ = ("_path", "_root")

    def __init__(self, root: str | Path, path: str) -> None:
        self._root = root
        self._path = path

    def __enter__(self) -> None:
        """Enter the block."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        if isinstance(error, OSError):
            error.filename = f"{self._root}/{self._path}" if self._path else str(self._root)
