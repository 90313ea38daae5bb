"""A scene: the state before an operation, the operation, and its promise."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from repoint.fs.removal import remove_tree
from repoint.model.errors import RepointError

Image = dict[str, str]
"""Everything on disk that counts when two ends are compared: path to what is there."""


class Scene(Protocol):
    """One operation.

    Attributes:
        name: The name of the operation.
        folder: Contains everything that the operation changes; restored before each attempt.
        done: Errors with which a second run reports that nothing is left to do.
        expected: Errors with which an undisturbed run ends.
        expected_errors: Errors that people see as one line.
        settles: Whether to compare the ends only after the next ordinary step.
    """

    name: str
    folder: Path
    done: tuple[type[RepointError], ...]
    expected: tuple[type[RepointError], ...]
    settles: bool
    expected_errors: tuple[type[Exception], ...]

    def prepare(self) -> None:
        """Create the state before the operation."""

    def act(self) -> object:
        """Run the operation, or repeat it after an interruption."""

    def wrong(self) -> Iterator[str]:
        """Check what must be true at any instant; yield a line for each violation."""

    def settle(self) -> None:
        """Run the next ordinary step, such as the next check."""

    def image(self) -> Image:
        """Return the content of the disk, to compare two ends."""

    def note_end(self) -> None:
        """Record the present state as the end of the operation."""

    def position(self) -> object:
        """Return the state as a person would describe it, to see whether it changed."""


class Ground:
    """The folder of a scene, which can be restored to its prepared state."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.kept = scene.folder.with_name(f"{scene.folder.name}.kept")
        remove_tree(scene.folder)
        remove_tree(self.kept)
        scene.prepare()
        copy(scene.folder, self.kept)

    def restore(self) -> None:
        """Restore the folder to its prepared state."""
        self.put(self.kept)

    def put(self, kept: Path) -> None:
        """Write a state to the folder."""
        clear(self.scene.folder)
        copy(kept, self.scene.folder)


def copy(source: Path, target: Path) -> None:
    """Copy a tree with its links, hard links, permissions and times."""
    subprocess.run(["cp", "-a", "-T", source, target], check=True)


def clear(folder: Path) -> None:
    """Remove a tree, including its read-only parts."""
    if os.geteuid() == 0:
        subprocess.run(["rm", "-rf", folder], check=True)
    else:
        remove_tree(folder)


def picture(folder: Path, *, without: tuple[str, ...] = ()) -> Image:
    """Return all paths below a folder with their types, permissions and contents."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = f"{place}/{name}"
            inside = os.path.relpath(path, folder)
            status = os.lstat(path)
            if stat.S_ISLNK(status.st_mode):
                found[inside] = f"-> {os.readlink(path)}"
            elif stat.S_ISDIR(status.st_mode):
                found[inside] = f"{status.st_mode & 0o7777:o}"
            elif inside in without or "store/verified/" in inside:  # numbers of inodes, and times
                found[inside] = "there"
            else:
                data = Path(path).read_bytes()
                content = (
                    data.decode(errors="backslashreplace")
                    if len(data) < 200
                    else hashlib.sha256(data).hexdigest()[:16]
                )
                found[inside] = f"{status.st_mode & 0o7777:o} {content}"
    return found


def compared(found: Image, expected: Image) -> Iterator[str]:
    """Yield the differences between two images."""
    for path in sorted(found.keys() | expected.keys()):
        if found.get(path) != expected.get(path):
            here, there = found.get(path, "nothing"), expected.get(path, "nothing")
            yield f"{path} is {here[:300]!r} rather than {there[:300]!r}"
