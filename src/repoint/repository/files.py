"""Staging of a repository's files, and the lock that allows one publication at a time.

Every file is written to ``staging/`` first, which is not served, and then renamed to its name, so
that a name never leads to half a file.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from pathlib import Path

from repoint.fs.durable import create_file, make_folder, sync_folder
from repoint.fs.lock import LockHeldError, exclusive_lock
from repoint.repository.errors import RepositoryBusyError

_SECONDS_TO_WAIT = 1.0
"""How long to wait for a lock: long enough for a holder to write its number, or to finish."""

PUBLIC_MODE = 0o644
PUBLIC_FOLDER_MODE = 0o755
PRIVATE_MODE = 0o600

_CHUNK = 1 << 20


def stage_bytes(staging: Path, data: bytes, mode: int) -> Path:
    """Write ``data`` to a new file in ``staging``, synced to disk, and return its path."""
    path = _new_path(staging)
    with create_file(path, mode=mode) as file:
        file.write(data)
    return path


def stage_copy(staging: Path, source: Path, mode: int) -> tuple[Path, int, str]:
    """Copy ``source`` to a new file in ``staging``, synced to disk.

    The digest is of the bytes that were written, so a source that changes meanwhile does no harm.

    Returns:
        The new path, the length in bytes and the SHA-256 digest in hexadecimal.
    """
    path, digest, length = _new_path(staging), hashlib.sha256(), 0
    with source.open("rb") as reader, create_file(path, mode=mode) as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            length += len(chunk)
            writer.write(chunk)
    return path, length, digest.hexdigest()


def make_public_folder(folder: Path, top: Path) -> set[Path]:
    """Create ``folder``, at or below ``top``, and return every folder from it up to ``top``.

    An earlier publication that was killed may have created some of them without syncing their
    names, so the caller syncs all of them.
    """
    make_folder(folder, mode=PUBLIC_FOLDER_MODE)
    return {folder, *(parent for parent in folder.parents if parent.is_relative_to(top))}


def sync_folders(folders: Iterable[Path]) -> None:
    """Sync the names in ``folders``, deepest folder first."""
    for folder in sorted(folders, reverse=True):
        sync_folder(folder)


@contextlib.contextmanager
def publication_lock(path: Path) -> Iterator[None]:
    """Hold the repository's lock while the block runs.

    Raises:
        RepositoryBusyError: Another process holds it.
    """
    with exclusive_work(path, f"publishing to {path.parent}"):
        yield


@contextlib.contextmanager
def exclusive_work(path: Path, doing: str) -> Iterator[None]:
    """Hold a lock while the block runs; the file names the process that holds it.

    Args:
        path: The lock file.
        doing: What the holder does, to follow its number in an error.

    Raises:
        RepositoryBusyError: Another process holds it.
    """
    try:
        with exclusive_lock(path, mode=PRIVATE_MODE, wait=_SECONDS_TO_WAIT) as lock:
            lock.write_note(f"{os.getpid()}\n".encode())
            try:
                yield
            finally:
                lock.write_note(b"")
    except LockHeldError as error:
        number = error.note.decode("ascii", "replace").strip()
        holder = f"Process {number}" if number else "Another process"
        raise RepositoryBusyError(
            f"{holder} is {doing}", hint="Wait until it ends, then try again"
        ) from None


def _new_path(staging: Path) -> Path:
    return staging / secrets.token_hex(8)
