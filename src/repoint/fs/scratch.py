"""Scratch folders next to the final path, removed if the work fails."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from repoint.fs.durable import sync_folder
from repoint.fs.lock import LockHeldError, exclusive_folder_lock
from repoint.fs.removal import remove_tree

_PREFIX = ".new-"


@contextlib.contextmanager
def scratch_folder(target: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """Create a folder to work in, on the file system of a path that may not exist yet.

    It is removed at the end. Folders above ``target`` that had to be created are removed too if
    they are still empty.

    Args:
        target: Where the result will be moved to.
        mode: Permission bits of the folders above ``target`` that do not exist yet, less the umask.

    Raises:
        OSError: They cannot be created.
    """
    clear_scratch(target)
    with (
        folders_above([target], mode=mode),
        tempfile.TemporaryDirectory(prefix=_PREFIX, dir=target.parent) as scratch,
        exclusive_folder_lock(Path(scratch)),
    ):
        yield Path(scratch)


@contextlib.contextmanager
def folders_above(targets: Iterable[Path], *, mode: int = 0o777) -> Iterator[None]:
    """Create the folders above some paths; at the end, remove those that are still empty.

    Threads that work below the same folders need this around all of them: what one of them created
    and removed, another one would miss.

    Args:
        targets: The paths.
        mode: Permission bits of the folders that do not exist yet, less the umask.

    Raises:
        OSError: They cannot be created.
    """
    above = {folder for target in targets for folder in target.parents}
    missing = sorted(folder for folder in above if not folder.exists())
    try:
        for folder in missing:
            folder.mkdir(mode=mode)
            sync_folder(folder.parent)
        yield
    finally:
        for folder in reversed(missing):
            with contextlib.suppress(OSError):
                folder.rmdir()


def clear_scratch(target: Path) -> None:
    """Remove the scratch folders that killed processes left next to a path.

    Those in use are locked and stay, and so do those of other accounts.
    """
    for leftover in target.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError, LockHeldError), exclusive_folder_lock(leftover):
            if leftover.lstat().st_uid == os.geteuid():
                remove_tree(leftover)
