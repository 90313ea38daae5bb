"""Scratch folders next to the final path, removed if the work fails."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
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
    missing = [folder for folder in target.parents if not folder.exists()]
    try:
        for folder in reversed(missing):
            folder.mkdir(mode=mode)
            sync_folder(folder.parent)
        with (
            tempfile.TemporaryDirectory(prefix=_PREFIX, dir=target.parent) as scratch,
            exclusive_folder_lock(Path(scratch)),
        ):
            yield Path(scratch)
    finally:
        for folder in missing:
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
