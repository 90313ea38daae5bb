"""What Repoint takes on the disk of a device: installed by pip with each extra, and as a .deb."""

from __future__ import annotations

import importlib.metadata as metadata
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import figure, run
from benchmarks.results import Cell, Group, Row

_HOME = Path(__file__).resolve().parents[1]
_LARGEST = 6
GOALS = {"": 90.0, "download": 15.0, "installed": 70.0}
"""In MB (10^6 bytes): the plain package by pip, and the two sizes of the .deb."""


def measure(progress: Callable[[], None]) -> list[Group]:
    """Install each choice into a fresh environment, with compiled modules as pip leaves them."""
    rows = []
    for extras in ("", "page", "vendor", "page,vendor", "fleet"):
        sizes = installed_sizes(extras)
        name = f"`pip install repoint[{extras}]`" if extras else "`pip install repoint`, a device"
        rows.append(Row(name, (_mb(sum(sizes.values())), _largest(sizes)), goal=GOALS.get(extras)))
        progress()
    return [
        Group(
            "What it takes on the disk",
            ("Repoint", "the largest parts, in MB"),
            (*rows, *_deb_rows()),
            (
                "Files and compiled modules of Repoint and all its dependencies, without pip and "
                "Python; the .deb without Debian's own packages that it depends on.",
            ),
        )
    ]


def installed_sizes(extras: str) -> dict[str, int]:
    """Install Repoint with extras from this folder; return bytes by distribution."""
    with tempfile.TemporaryDirectory() as folder:
        run([sys.executable, "-m", "venv", "--without-pip", folder])
        python = Path(folder) / "bin/python"
        run([sys.executable, "-m", "pip", "--python", python, "install", "--quiet",
             "--disable-pip-version-check", "-c", _HOME / "requirements/dev.txt",
             f"{_HOME}[{extras}]" if extras else _HOME])  # fmt: skip
        modules = sysconfig.get_path("purelib", vars={"base": folder})
        sizes = {}
        for distribution in metadata.distributions(path=[modules]):
            files = {Path(str(file.locate())).resolve() for file in distribution.files or []}
            sizes[distribution.name] = sum(file.stat().st_size for file in files if file.is_file())
        return sizes


def _deb_rows() -> list[Row]:
    packages = sorted((_HOME / "build/deb").glob("repoint_*.deb"))
    missing: Cell = "not built: `make deb`"
    if not packages or shutil.which("dpkg-deb") is None:
        return [Row("the .deb", (missing, ""))]
    installed = run(["dpkg-deb", "--field", packages[-1], "Installed-Size"]).stdout
    return [
        Row("the .deb, to download", (_mb(packages[-1].stat().st_size), ""),
            goal=GOALS["download"]),
        Row("the .deb, installed", (_mb(int(installed) * 1024), ""), goal=GOALS["installed"]),
    ]  # fmt: skip


def _mb(size: int) -> Cell:
    return figure([size / 1e6], "MB")


def _largest(sizes: dict[str, int]) -> str:
    order = sorted(sizes.items(), key=lambda item: -item[1])[:_LARGEST]
    return ", ".join(f"{name} {size / 1e6:.1f}" for name, size in order)
