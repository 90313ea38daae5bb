"""Programs as people know them, from the processes that the kernel knows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePath

from repoint.device.status.affected import Affected
from repoint.device.status.status import ExposedProcess

_INTERPRETERS = ("python", "perl", "ruby", "node", "java", "bash", "sh")


@dataclass(frozen=True)
class Program:
    """A program and its processes.

    Attributes:
        name: What to call it.
        component: The component that it runs.
        runs: The label of what it runs; empty where that does not matter.
        pids: Its processes.
        starts_again: Whether a restart starts it again.
    """

    name: str
    component: str
    runs: str
    pids: tuple[int, ...]
    starts_again: bool = False


def exposed_programs(exposed: Iterable[ExposedProcess]) -> tuple[Program, ...]:
    """Group the processes that run replaced code into programs."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for process in exposed:
        key = (name_of(process.pid, process.name), process.component, process.runs)
        groups.setdefault(key, []).append(process.pid)
    return tuple(
        Program(name, component, runs, tuple(sorted(pids)))
        for (name, component, runs), pids in sorted(groups.items())
    )


def affected_programs(affected: Iterable[Affected]) -> tuple[Program, ...]:
    """What a restart closes, by the names that people know; each once."""
    groups: dict[tuple[str, str, bool], list[int]] = {}
    for thing in affected:
        for pid in thing.pids:
            name = thing.unit.removesuffix(".service") or name_of(pid, thing.name)
            groups.setdefault((name, thing.component, thing.again), []).append(pid)
    return tuple(
        Program(name, component, "", tuple(sorted(set(pids))), starts_again=again)
        for (name, component, again), pids in sorted(groups.items())
    )


def name_of(pid: int, kernel_name: str) -> str:
    """What people call a process: an interpreter is called by what it runs.

    Args:
        pid: The process.
        kernel_name: What the kernel calls it; at most 15 bytes (man 5 proc, ``comm``).
    """
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return kernel_name
    arguments = [word.decode(errors="replace") for word in words if word]
    if not arguments:
        return kernel_name
    program = PurePath(arguments[0]).name
    if not program.startswith(_INTERPRETERS):
        # A program may have given itself a name that says more than its file's.
        return program if program.startswith(kernel_name) else kernel_name
    script = next((word for word in arguments[1:] if not word.startswith("-")), "")
    # Behind -c and -m stands no file.
    if not script or {"-c", "-m"} & set(arguments[1:3]):
        return kernel_name
    return PurePath(script).name
