"""Making something beside the place where it will stand, and leaving nothing if it fails."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


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
    above = [folder for folder in place.parents if not folder.exists()]
    try:
        for missing in reversed(above):
            missing.mkdir(mode=mode)
        with tempfile.TemporaryDirectory(prefix=".new-", dir=place.parent) as folder:
            yield Path(folder)
    finally:
        for empty in above:
            with contextlib.suppress(OSError):
                empty.rmdir()
