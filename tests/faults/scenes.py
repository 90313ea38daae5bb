"""What an operation starts from, what it does, and what must be true whatever becomes of it."""

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
        name: What the operation is called.
        folder: Everything that it changes lies below; it is put back before each try.
        done: Errors by which a second run says that there is nothing left to do.
        expected: Errors with which an undisturbed run ends.
        said: Errors that people are told in one line.
        settles: Whether its ends are compared only after what comes next in the ordinary course.
    """

    name: str
    folder: Path
    done: tuple[type[RepointError], ...]
    expected: tuple[type[RepointError], ...]
    settles: bool
    said: tuple[type[Exception], ...]

    def prepare(self) -> None:
        """Make the folder as it is before the operation."""

    def act(self) -> object:
        """Do it, or do it again after it was cut off."""

    def wrong(self) -> Iterator[str]:
        """Check what must be true at any instant; each line says what is not."""

    def settle(self) -> None:
        """Do what comes next in the ordinary course, such as the next check."""

    def image(self) -> Image:
        """What is on disk, to compare two ends."""

    def note_end(self) -> None:
        """Take what is there now for the end of the operation."""

    def position(self) -> object:
        """What a person would say has or has not changed."""


class Ground:
    """The place of a scene: puts back what was prepared."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.kept = scene.folder.with_name(f"{scene.folder.name}.kept")
        remove_tree(scene.folder)
        remove_tree(self.kept)
        scene.prepare()
        copy(scene.folder, self.kept)

    def restore(self) -> None:
        """Put the folder back as it was prepared."""
        self.put(self.kept)

    def put(self, kept: Path) -> None:
        """Put a state in place."""
        clear(self.scene.folder)
        copy(kept, self.scene.folder)


def copy(source: Path, target: Path) -> None:
    """Copy a tree with everything: links, hard links, permissions, times."""
    subprocess.run(["cp", "-a", "-T", source, target], check=True)


def clear(folder: Path) -> None:
    """Remove a tree although parts of it are read-only."""
    if os.geteuid() == 0:
        subprocess.run(["rm", "-rf", folder], check=True)
    else:
        remove_tree(folder)


def picture(folder: Path, *, without: tuple[str, ...] = ()) -> Image:
    """All paths below a folder, each with its type, permissions and content."""
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
            elif inside in without:
                found[inside] = "there"
            else:
                data = Path(path).read_bytes()
                said = data.decode() if len(data) < 200 else hashlib.sha256(data).hexdigest()[:16]
                found[inside] = f"{status.st_mode & 0o7777:o} {said}"
    return found


def compared(found: Image, expected: Image) -> Iterator[str]:
    """In what two images differ."""
    for path in sorted(found.keys() | expected.keys()):
        if found.get(path) != expected.get(path):
            here, there = found.get(path, "nothing"), expected.get(path, "nothing")
            yield f"{path} is {here[:300]!r} rather than {there[:300]!r}"
