"""Processes grouped into programs, by the names that people know."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import PurePath

from repoint.device.status.affected import Affected
from repoint.device.status.status import ExposedProcess, UnknownProcess
from repoint.host.kernel.processes import Processes

_INTERPRETERS = ("python", "perl", "ruby", "node", "java", "bash", "sh")


@dataclass(frozen=True)
class Program:
    """A program and its processes.

    Attributes:
        name: The name that people know.
        component: The component that it runs.
        runs: The label of the code that it runs; empty if that does not matter.
        pids: Its processes.
        starts_again: Whether a restart starts it again.
    """

    name: str
    component: str
    runs: str
    pids: tuple[int, ...]
    starts_again: bool = False


def exposed_programs(
    exposed: Iterable[ExposedProcess | UnknownProcess], processes: Processes
) -> tuple[Program, ...]:
    """Group the processes that run, or may run, replaced code."""
    groups: dict[tuple[str, str, str], list[int]] = {}
    for process in exposed:
        key = (name_of(process.pid, process.name, processes), process.component, process.runs)
        groups.setdefault(key, []).append(process.pid)
    return tuple(
        Program(name, component, runs, tuple(sorted(pids)))
        for (name, component, runs), pids in sorted(groups.items())
    )


def affected_programs(affected: Iterable[Affected], processes: Processes) -> tuple[Program, ...]:
    """Group the processes that a restart closes."""
    groups: dict[str, list[tuple[Affected, int]]] = {}
    for item in affected:
        for pid in item.pids:
            name = item.unit.removesuffix(".service") or name_of(pid, item.name, processes)
            groups.setdefault(name, []).append((item, pid))
    return tuple(
        Program(
            name,
            ", ".join(sorted({item.component for item, _ in group})),
            "",
            tuple(sorted({pid for _, pid in group})),
            starts_again=all(item.again for item, _ in group),
        )
        for name, group in sorted(groups.items())
    )


def name_of(pid: int, kernel_name: str, processes: Processes) -> str:
    """Return the name of a process. An interpreter has the name of the script that it runs.

    Args:
        pid: The process.
        kernel_name: The kernel's name for it, of at most 15 bytes (man 5 proc, ``comm``).
        processes: The running processes.
    """
    arguments = processes.command_line(pid)
    if not arguments:
        return kernel_name
    program = PurePath(arguments[0]).name
    if not program.startswith(_INTERPRETERS):
        # A program can set a name of its own, which says more than the name of its file.
        return program if program.startswith(kernel_name) else kernel_name
    script = next((argument for argument in arguments[1:] if not argument.startswith("-")), "")
    # With -c and -m, the next argument is not a file.
    if not script or {"-c", "-m"} & set(arguments[1:3]):
        return kernel_name
    return PurePath(script).name
