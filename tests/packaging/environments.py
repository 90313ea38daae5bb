"""Environments that hold what one choice of extras installs, made from the tests' own without a network."""

from __future__ import annotations

import importlib.metadata as metadata
import re
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

from packaging.requirements import Requirement

from tests.cli.command import SECONDS, Answer, environment

REPOINT = "repoint"


def closure(*extras: str) -> set[str]:
    """Return the names of all distributions that Repoint with these extras needs, but its own."""
    needed: set[tuple[str, str]] = set()
    pending = [(REPOINT, extra) for extra in ("", *extras)]
    while pending:
        name, extra = pending.pop()
        if (name, extra) in needed:
            continue
        needed.add((name, extra))
        for line in metadata.requires(name) or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                pending += [(_normal(requirement.name), e) for e in ("", *requirement.extras)]
    return {name for name, _ in needed} - {REPOINT}


def make_environment(folder: Path, *extras: str) -> Path:
    """Make an environment with Repoint and what these extras install; return its interpreter."""
    venv.create(folder, symlinks=True, with_pip=False)
    modules = Path(sysconfig.get_path("purelib", vars={"base": str(folder)}))
    for name in closure(*extras):
        for file in metadata.files(name) or []:
            top = file.parts[0]
            link = modules / top
            if top not in ("..", "__pycache__") and not link.exists():
                link.symlink_to(Path(str(metadata.distribution(name).locate_file(top))))
    import repoint

    (modules / REPOINT).symlink_to(Path(repoint.__file__).parent)
    return folder / "bin" / Path(sys.executable).name


def run(python: Path, *arguments: str | Path) -> Answer:
    """Run ``repoint`` in an environment."""
    completed = subprocess.run(
        [python, "-I", "-m", "repoint", *map(str, arguments)],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
        env=environment(), check=False,
    )  # fmt: skip
    return Answer(completed.returncode, completed.stdout, completed.stderr)


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
