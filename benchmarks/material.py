"""What both sides work on: the two wheels, and the trees that they install."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.machine import interpreter_is_supported
from benchmarks.measuring import run

OLD, NEW = "10.0.0", "10.0.1"
_BUILT = 1_694_736_000
"""A time for every file of every tree. The other side's archives hold the times of files, and
times that differ would make its patches larger for no reason."""


@dataclass(frozen=True)
class Material:
    """The wheels of both releases, and the trees that pip installs from them."""

    old_wheel: Path
    new_wheel: Path
    old_tree: Path
    new_tree: Path


def prepare(wheels: Path, folder: Path) -> Material:
    """Fetch the wheels where they are not at hand, and install each into a folder."""
    wheels.mkdir(parents=True, exist_ok=True)
    old, new = _wheel(wheels, OLD), _wheel(wheels, NEW)
    return Material(old, new, _tree(old, folder / OLD), _tree(new, folder / NEW))


def _wheel(wheels: Path, version: str) -> Path:
    pattern = f"[Pp]illow-{version}-*.whl"
    if not any(wheels.glob(pattern)):
        if not interpreter_is_supported():
            raise SystemExit(
                f"benchmarks: there is no Pillow {version} wheel for Python "
                f"{sys.version_info.major}.{sys.version_info.minor}; run them with Python 3.11 "
                "(make bench PYTHON=python3.11)"
            )
        run([sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
             "--disable-pip-version-check", "--only-binary", ":all:",
             "--dest", wheels, f"pillow=={version}"])  # fmt: skip
    return next(wheels.glob(pattern))


def _tree(wheel: Path, folder: Path) -> Path:
    run([sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-compile",
         "--disable-pip-version-check", "--root-user-action", "ignore",
         "--target", folder, wheel])  # fmt: skip
    for path in [*folder.rglob("*"), folder]:
        os.utime(path, (_BUILT, _BUILT))
    return folder
