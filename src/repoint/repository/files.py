"""Writing files so that a name never shows half of one, and one publication at a time.

Everything is written in ``staging/`` first, which is not served, and then renamed into place.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from repoint.repository.errors import RepositoryBusyError

PUBLIC_MODE = 0o644
PUBLIC_FOLDER_MODE = 0o755
PRIVATE_MODE = 0o600

_CHUNK = 1 << 20


def stage_bytes(staging: Path, data: bytes, mode: int) -> Path:
    """Write ``data`` to a new file in ``staging``, synced to disk, and return its path."""
    path = _fresh(staging)
    with _create(path, mode) as file:
        file.write(data)
        _sync(file)
    return path


def stage_copy(staging: Path, source: Path, mode: int) -> tuple[Path, int, str]:
    """Copy ``source`` to a new file in ``staging``, synced to disk.

    The digest is of the bytes that were written, so a source that changes meanwhile does no harm.

    Returns:
        The new path, the length in bytes and the SHA-256 digest in hexadecimal.
    """
    path, digest, length = _fresh(staging), hashlib.sha256(), 0
    with source.open("rb") as reader, _create(path, mode) as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
            writer.write(chunk)
        _sync(writer)
    return path, length, digest.hexdigest()


def make_folders(folder: Path, top: Path) -> set[Path]:
    """Make ``folder``, at or below ``top``, and return every folder from it up to ``top``."""
    chain = [folder, *(parent for parent in folder.parents if parent.is_relative_to(top))]
    for path in reversed(chain):
        if not path.exists():
            path.mkdir()
            path.chmod(PUBLIC_FOLDER_MODE)
    return set(chain)


def sync_folders(folders: Iterable[Path]) -> None:
    """Make the names in ``folders`` last through a power loss."""
    for folder in sorted(folders, reverse=True):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def put_in_place(staged: Path, path: Path) -> None:
    """Rename a staged file to its name and make that last through a power loss."""
    os.replace(staged, path)  # noqa: PTH105
    sync_folders([path.parent])


def write_new(path: Path, data: bytes, mode: int) -> None:
    """Write a file that must not exist yet.

    Raises:
        FileExistsError: It does.
    """
    with _create(path, mode) as file:
        try:
            file.write(data)
            _sync(file)
            sync_folders([path.parent])
        except BaseException:
            path.unlink()
            raise


@contextlib.contextmanager
def exclusive(lock: Path) -> Iterator[None]:
    """Hold ``lock`` while the block runs; the file names the process that holds it.

    Raises:
        RepositoryBusyError: Another process holds it.
    """
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, PRIVATE_MODE)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 20, 0).decode("ascii", "replace").strip() or "unknown"
            raise RepositoryBusyError(
                f"Process {holder} is publishing to {lock.parent}",
                hint="Wait until it ends, then try again",
            ) from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        yield
    finally:
        os.close(descriptor)


def _fresh(staging: Path) -> Path:
    return staging / secrets.token_hex(8)


def _create(path: Path, mode: int) -> BinaryIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    # The umask must not decide whether a web server may read what is public.
    os.fchmod(descriptor, mode)
    return os.fdopen(descriptor, "wb")


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())
