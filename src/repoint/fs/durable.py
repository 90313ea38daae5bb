"""Durable changes to files: write a temporary file, sync it, rename it.

Modes are set explicitly, never left to the umask: what other accounts may read must not depend on
who ran the command, and the umask belongs to the whole process, which may have several threads.
Temporary files and folders are named ``.new-<name>`` and lie next to the final one.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from repoint.fs.exchange import rename_new
from repoint.fs.folders import open_folder
from repoint.fs.regular import open_regular


def sync(path: Path) -> None:
    """Flush a file or folder to disk. A symbolic link is refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Flush the names in a folder to disk. ``folder`` may be a link to it."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_filesystem(folder: int) -> None:
    """Flush the whole file system of an open folder to disk, with syncfs(2).

    For a tree of many files, that is faster by orders of magnitude than to flush each of them. The
    kernel reports errors of any of the files, from Linux 5.8 on.

    Raises:
        OSError: Something could not be written.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syncfs(folder) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def sync_tree(root: Path) -> None:
    """Flush a whole tree to disk, with everything else on its file system."""
    descriptor = open_folder(root)
    try:
        sync_filesystem(descriptor)
    finally:
        os.close(descriptor)


def write_durably(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Replace a file's content; the commit point is the rename."""
    temporary = path.with_name(f".new-{path.name}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
    with _synced(os.open(temporary, flags, mode), mode) as file:
        file.write(data)
    rename_durably(temporary, path)


@contextlib.contextmanager
def create_file(path: Path, *, mode: int = 0o644) -> Iterator[BinaryIO]:
    """Open a new file for writing; its content is on disk after the block, its name is not yet.

    Raises:
        FileExistsError: There is a file of that name.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    with _synced(os.open(path, flags, mode), mode) as file:
        yield file


def write_new(path: Path, data: bytes, *, mode: int = 0o644) -> None:
    """Write a file that must not exist yet, and remove it again if that fails.

    Raises:
        FileExistsError: It exists.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(path, flags, mode)
    try:
        with _synced(descriptor, mode) as file:
            file.write(data)
        sync_folder(path.parent)
    except BaseException:
        path.unlink()
        raise


def rename_durably(source: Path, target: Path) -> None:
    """Rename a synced file or folder, replacing ``target``, so that a power loss keeps the name."""
    source.replace(target)
    sync_folder(target.parent)


def make_folder(path: Path, *, mode: int = 0o755) -> None:
    """Create a folder and the missing ones above it; their names survive a power loss.

    Each folder appears under its name with its final mode: a process that is killed in between
    leaves a temporary folder, which the next call uses.
    """
    if path.is_dir():
        return
    make_folder(path.parent, mode=mode)
    temporary = path.with_name(f".new-{path.name}")
    with contextlib.suppress(FileExistsError):
        temporary.mkdir(mode)
    try:
        _set_folder_mode(temporary, mode)
        rename_new(temporary, path)
    except OSError:
        # Another process created the folder first, or it cannot be created.
        with contextlib.suppress(OSError):
            temporary.rmdir()
        if not path.is_dir():
            raise
        return
    with contextlib.suppress(PermissionError):  # a folder above the store may be unreadable
        sync_folder(path.parent)


def point_link(link: Path, target: str) -> None:
    """Point a symbolic link at a target; the commit point is the rename."""
    temporary = link.with_name(f".new-{link.name}")
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(target)
    rename_durably(temporary, link)


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data``, even if the kernel accepts it in pieces."""
    left = memoryview(data)
    while left:
        left = left[os.write(descriptor, left) :]


def append_durably(path: Path, line: bytes) -> None:
    """Append one line to a file and sync it; the file is created readable for everyone."""
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW
    descriptor = open_regular(path, flags, 0o644)
    try:
        end = os.lseek(descriptor, 0, os.SEEK_END)
        if end == 0:
            os.fchmod(descriptor, 0o644)
        # A line that a power loss cut off must not swallow the next one.
        torn = end > 0 and os.pread(descriptor, 1, end - 1) != b"\n"
        write_all(descriptor, (b"\n" if torn else b"") + line + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def set_mode(path: Path, mode: int) -> None:
    """Set the permissions of a file or folder and flush it to disk. Links are refused."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        os.fchmod(descriptor, mode)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _set_folder_mode(folder: Path, mode: int) -> None:
    # Not `set_mode`: in a folder such as /tmp the name may be another account's pipe, which blocks.
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(folder, flags)
    try:
        os.fchmod(descriptor, mode)
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _synced(descriptor: int, mode: int) -> Iterator[BinaryIO]:
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)
        yield file
        file.flush()
        os.fsync(descriptor)
