"""The machine that the figures come from, and how busy it was with other things."""

from __future__ import annotations

import os
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Machine:
    """What a reader must know to compare the figures with others.

    Attributes:
        cpu: The model, and how many of them.
        memory: In all.
        system: Kernel and architecture.
        python: The interpreter of both sides.
        filesystem: Where the devices' files lay.
        virtual: Whether it is a virtual machine, whose neighbours may disturb.
        processes: How many processes there were to look through.
    """

    cpu: str
    memory: str
    system: str
    python: str
    filesystem: str
    virtual: bool
    processes: int


def describe(folder: Path) -> Machine:
    """Describe this machine; ``folder`` is where the devices' files lie."""
    info = _fields(Path("/proc/cpuinfo"))
    memory = int(_fields(Path("/proc/meminfo")).get("MemTotal", "0 kB").split()[0])
    count = os.cpu_count() or 1
    return Machine(
        cpu=f"{info.get('model name', platform.machine())}, {count} "
        f"{'core' if count == 1 else 'cores'}",
        memory=f"{memory / 1024**2:.0f} GiB",
        system=f"Linux {platform.release()} {platform.machine()}",
        python=f"{platform.python_implementation()} {platform.python_version()}, "
        f"tuf {version('tuf')}, hdiffpatch {version('hdiffpatch')}",
        filesystem=_filesystem(folder),
        virtual="hypervisor" in info.get("flags", "").split(),
        processes=sum(1 for entry in Path("/proc").iterdir() if entry.name.isdigit()),
    )


def load() -> float:
    """How many processes wanted a processor, on average over the last minute."""
    return os.getloadavg()[0]


def interpreter_is_supported() -> bool:
    """Whether there are wheels of both Pillow releases for this interpreter."""
    return (3, 8) <= sys.version_info[:2] <= (3, 12)


def _fields(file: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in file.read_text().splitlines():
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.strip(), value.strip())
    return found


def _filesystem(folder: Path) -> str:
    """The type of the file system that holds a folder (man 5 proc, mountinfo)."""
    best, kind = "", "unknown"
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = before.split()[4]
        if len(point) >= len(best) and folder.resolve().is_relative_to(point):
            best, kind = point, after.split()[0]
    return kind
