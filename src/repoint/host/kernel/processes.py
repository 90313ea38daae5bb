"""The running processes: their accounts, command lines, memory maps and open files."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_DELETED = " (deleted)"
"""What the kernel appends to the path of a file that was removed (proc_pid_maps(5))."""


@dataclass(frozen=True)
class ProcessIdentity:
    """What identifies one process, even if the kernel reuses its pid later.

    Attributes:
        pid: The process.
        started: When it started, in clock ticks since the boot (proc_pid_stat(5)).
        user: The account that it runs as.
    """

    pid: int
    started: int
    user: int


@dataclass(frozen=True)
class Owner:
    """The account of a process, and what the process was started with.

    Attributes:
        user: The number of the account.
        group: The number of its group.
        groups: The numbers of its supplementary groups.
        environment: The environment of the process.
    """

    user: int
    group: int
    groups: tuple[int, ...]
    environment: dict[str, str]


@dataclass(frozen=True)
class MappedFile:
    """A file that a process has mapped into its memory.

    Attributes:
        path: Its path, as the kernel gives it, without the mark of a removed file.
        device: The device that it is on, as memory maps write it: ``fd:01``.
        inode: Its inode number.
    """

    path: str
    device: str
    inode: int


class Process:
    """One process, as the kernel's files show it while it runs.

    Its methods raise ``FileNotFoundError`` or ``ProcessLookupError`` once it has ended.

    Args:
        folder: Its folder in the proc file system.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pid = int(folder.name)

    def identity(self) -> ProcessIdentity:
        """Return what names the process for good."""
        # The second field, the program's name in parentheses, may itself hold spaces.
        fields = (self._folder / "stat").read_text(errors="replace").rpartition(")")[2].split()
        return ProcessIdentity(self.pid, int(fields[19]), self._folder.stat().st_uid)

    def name(self) -> str:
        """Return the kernel's name for it, of at most 15 bytes (proc_pid_comm(5))."""
        return (self._folder / "comm").read_text(errors="replace").strip()

    def memory_map(self) -> bytes:
        """Return its memory map (proc_pid_maps(5)).

        Raises:
            PermissionError: The process may not be inspected.
        """
        return (self._folder / "maps").read_bytes()

    def executable(self) -> str:
        """Return the path of its program; empty if the kernel does not give it."""
        return _read_link(f"{self._folder}/exe")

    def open_files(self) -> list[str]:
        """Return the paths of the files and folders that it has open.

        Raises:
            PermissionError: The process may not be inspected.
        """
        folder = f"{self._folder}/fd"
        return [_read_link(f"{folder}/{number}") for number in os.listdir(folder)]

    def has_our_root(self) -> bool:
        """Return whether paths mean the same to it as to us; a container has its own files."""
        return os.path.samestat((self._folder / "root").stat(), Path("/").stat())


class Processes:
    """The running processes of a machine.

    Args:
        proc: The proc file system.
    """

    def __init__(self, proc: Path = Path("/proc")) -> None:
        self._proc = proc

    def pids(self) -> list[int]:
        """Return the numbers of all processes but this one."""
        own = os.getpid()
        return [int(name) for name in os.listdir(self._proc) if name.isdigit() and int(name) != own]

    def all(self) -> Iterator[Process]:
        """Return all processes but this one."""
        return (Process(self._proc / str(pid)) for pid in self.pids())

    def open(self, identity: ProcessIdentity) -> int:
        """Open a descriptor of a process, which keeps naming it (pidfd_open(2)).

        Raises:
            ProcessLookupError: The process has ended. Another one may have its pid.
        """
        descriptor = os.pidfd_open(identity.pid)
        try:
            started = Process(self._proc / str(identity.pid)).identity().started
        except OSError:
            started = None
        if started != identity.started:
            os.close(descriptor)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(identity.pid))
        return descriptor

    def owner_of(self, pid: int) -> Owner | None:
        """Return the owner of a process; None if it has ended or may not be inspected."""
        process = self._proc / str(pid)
        try:
            lines = (process / "status").read_text().splitlines()
            variables = (process / "environ").read_bytes().split(b"\0")
        except OSError:
            return None
        status = dict(line.split(":", 1) for line in lines)
        pairs = (os.fsdecode(variable).partition("=") for variable in variables if b"=" in variable)
        return Owner(
            # The real numbers: a set-user-id program's effective ones are not its owner's.
            int(status["Uid"].split()[0]),
            int(status["Gid"].split()[0]),
            tuple(int(number) for number in status["Groups"].split()),
            {name: value for name, _, value in pairs},
        )

    def command_line(self, pid: int) -> tuple[str, ...]:
        """Return the arguments of a process; empty if it has ended or may not be inspected."""
        try:
            words = (self._proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return ()
        return tuple(word.decode(errors="replace") for word in words if word)


def mapped_files(memory_map: bytes) -> Iterator[MappedFile]:
    """Return the files in a memory map.

    A line is `address perms offset dev inode path`: proc_pid_maps(5).
    """
    for line in memory_map.splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6:
            path = os.fsdecode(fields[5]).removesuffix(_DELETED)
            yield MappedFile(path, fields[3].decode(), int(fields[4]))


def _read_link(path: str) -> str:
    try:
        return os.readlink(path).removesuffix(_DELETED)
    except OSError:
        return ""
