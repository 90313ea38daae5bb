"""Making something beside the place where it will stand, and leaving nothing if it fails."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from repoint.fs.durable import sync
from repoint.fs.removal import remove_tree

_PREFIX = ".new-"


@contextlib.contextmanager
def scratch_beside(place: Path, *, mode: int = 0o777) -> Iterator[Path]:
    """A folder to work in, on the file system of a place that may not exist yet.

    It is removed at the end, and so are the folders above the place that were made for it, where
    nothing has come to stand in them.

    Args:
        place: Where what is made will stand.
        mode: Permission bits of the folders above the place that do not exist yet.

    Raises:
        OSError: They cannot be made.
    """
    clear_scratch(place)
    above = [folder for folder in place.parents if not folder.exists()]
    try:
        for missing in reversed(above):
            missing.mkdir(mode=mode)
            sync(missing.parent.resolve())
        with (
            tempfile.TemporaryDirectory(prefix=_PREFIX, dir=place.parent) as folder,
            _open_folder(Path(folder)) as held,
        ):
            fcntl.flock(held, fcntl.LOCK_EX)
            yield Path(folder)
    finally:
        for empty in above:
            with contextlib.suppress(OSError):
                empty.rmdir()


def clear_scratch(place: Path) -> None:
    """Remove what somebody who was killed has left beside a place; what is in use is held."""
    for left in place.parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError), _open_folder(left) as folder:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove_tree(left)


@contextlib.contextmanager
def _open_folder(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
