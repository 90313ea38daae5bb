"""Removal of trees whose folders are read-only."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

from repoint.fs.durable import set_mode


def remove_tree(root: Path) -> None:
    """Remove a file, link or tree, even one with read-only folders. A missing one is no error."""
    if root.is_symlink() or not root.is_dir():
        root.unlink(missing_ok=True)
        return
    for folder, subfolders, _ in os.walk(root):
        Path(folder).chmod(0o700)
        for name in subfolders:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)
    shutil.rmtree(root)


def make_writable(root: Path) -> None:
    """Give the owner write permission to a whole tree that is no longer to be kept sealed."""
    for path in [root, *root.rglob("*")]:
        if not path.is_symlink():
            set_mode(path, stat.S_IMODE(path.stat().st_mode) | 0o200)
