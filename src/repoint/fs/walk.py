"""Walks through trees in which other accounts may exchange names meanwhile."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from repoint.fs.folders import Descent, located, open_folder


class Found(NamedTuple):
    """Something in a tree.

    Attributes:
        path: Its path, relative to the top of the walk.
        name: Its name.
        folder: The descriptor of the folder that holds it; valid until the walk goes on.
        status: Its status; that of the link itself if it is one.
    """

    path: str
    name: str
    folder: int
    status: os.stat_result


def walk(root: Path, *, skip: Callable[[str], bool] | None = None) -> Iterator[Found]:
    """Yield everything below a folder, each folder before its content. No link is followed.

    Neither the depth of the tree nor the size of a folder is limited by the stack or by the number
    of open files.

    Args:
        root: The folder. Links above it are followed, but it may not be one itself.
        skip: Returns whether a path is left out, with everything below it.

    Raises:
        OSError: A folder cannot be read; the error names its whole path.
    """
    top = open_folder(root)
    try:
        with Descent(top) as descent:
            pending = [""]
            while pending:
                below = pending.pop()
                with located(root, below):
                    folder = descent.open(below)
                    names = sorted(os.listdir(folder))
                inner = []
                for name in names:
                    path = f"{below}/{name}" if below else name
                    if skip is not None and skip(path):
                        continue
                    with located(root, path):
                        status = os.stat(name, dir_fd=folder, follow_symlinks=False)
                    yield Found(path, name, folder, status)
                    if status.st_mode & 0o170000 == 0o040000:
                        inner.append(path)
                pending += reversed(inner)
    finally:
        os.close(top)
