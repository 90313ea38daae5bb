"""The running processes: their accounts, command lines, mapped and open files."""

from __future__ import annotations

import contextlib
import errno
import functools
import mmap
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from repoint.host.kernel.memory_maps import DELETED, MappedFile, mapped_files
from repoint.host.kernel.search_paths import names_folders

FileIdentity = tuple[int, int]
"""Device and inode number of a file, as stat(2) gives them: the same for every name of it."""

_KERNEL_THREAD = 0x0020_0000
"""PF_KTHREAD in the flags of a process (proc_pid_stat(5))."""

_MOST_LINKS = 40
"""Symbolic links that are followed in one path, as the kernel does (path_resolution(7))."""

_CHUNK = 1 << 16
"""Bytes that are read at once. The kernel gives less of most of its files."""

_NO_LOGIN = (1 << 32) - 1
"""The login account of what no login has started."""


class ProcessIdentity(msgspec.Struct, frozen=True):
    """What identifies one process, even if the kernel reuses its pid later.

    Attributes:
        pid: The process.
        started: When it started, in clock ticks since the boot (proc_pid_stat(5)).
        user: The account that started it, also if its program is set-user-ID.
    """

    pid: int
    started: int
    user: int


class OpenFile(msgspec.Struct, frozen=True):
    """A file or folder that a process has open.

    Attributes:
        number: The number of the descriptor.
        path: Its path, as the kernel gives it, without the mark of a removed file.
        inode: Its inode number.
        deleted: True if it was removed.
    """

    number: int
    path: str
    inode: int
    deleted: bool = False


class Process:
    """One process, as the kernel's files show it while it runs.

    Its methods raise ``FileNotFoundError`` or ``ProcessLookupError`` once it has ended, and
    ``PermissionError`` if it may not be inspected.

    Args:
        folder: Its folder in the proc file system.
        spend: Called again and again during the work with the bytes that were read. What it raises
            ends the work: a process can make its maps, its arguments and its descriptors as many
            as the kernel allows.

    Attributes:
        pid: Its number.
        spend: As above.
    """

    def __init__(self, folder: Path, spend: Callable[[int], None] = lambda size: None) -> None:
        self._folder = str(folder)
        self.pid = int(folder.name)
        self.spend = spend

    def bounded(self, spend: Callable[[int], None]) -> Process:
        """Return the same process with a bound on the work."""
        return Process(Path(self._folder), spend)

    def identity(self) -> ProcessIdentity:
        """Return what names the process for good."""
        return ProcessIdentity(self.pid, int(self._stat_fields()[19]), self._real_user())

    def is_kernel_thread(self) -> bool:
        """Return whether it is a thread of the kernel, which runs no program."""
        return bool(int(self._stat_fields()[6]) & _KERNEL_THREAD)

    def parent(self) -> int:
        """Return the number of the process that started it, or that took it over."""
        return int(self._stat_fields()[1])

    def started(self) -> int:
        """Return when it started, in clock ticks since the boot. Every account may ask."""
        return int(self._stat_fields()[19])

    def name(self) -> str:
        """Return the kernel's name for it, of at most 15 bytes (proc_pid_comm(5))."""
        return self._read("comm").decode(errors="replace").strip()

    def arguments(self) -> tuple[str, ...]:
        """Return its arguments, the program's name first; empty if it has none."""
        return tuple(os.fsdecode(self._read("cmdline")).split("\0")[:-1])

    def environment(self) -> dict[str, str]:
        """Return the variables that it was started with, of those whose value may name a file.

        A path has a slash in it, or is a name in a variable like `PYTHONPATH`, which may name
        folders relative to the working folder.
        """
        entries = os.fsdecode(self._read("environ")).split("\0")
        # Most variables name no file, and there are thousands of them on a machine.
        pairs = (entry.partition("=") for entry in entries)
        return {
            name: value
            for name, equals, value in pairs
            if equals and ("/" in value or names_folders(name))
        }

    def memory_map(self) -> bytes:
        """Return its memory map (proc_pid_maps(5))."""
        return self._read("maps")

    def executable(self) -> str:
        """Return the path of its program; empty if the kernel does not give it."""
        try:
            return os.readlink(f"{self._folder}/exe").removesuffix(DELETED)
        except OSError:
            return ""

    def executable_identity(self) -> FileIdentity | None:
        """Return the identity of its program; None if the kernel does not give it."""
        return _identity(f"{self._folder}/exe")

    def open_files(self) -> list[OpenFile]:
        """Return the files and folders that it has open; no sockets and pipes."""
        found = []
        with os.scandir(f"{self._folder}/fd") as entries:
            for entry in entries:
                number = entry.name
                try:
                    path = os.readlink(f"{self._folder}/fd/{number}")
                    self.spend(len(path))
                    if path.startswith("/"):
                        inode = self._inode_of(number)
                        plain = path.removesuffix(DELETED)
                        found.append(OpenFile(int(number), plain, inode, plain != path))
                except OSError:
                    continue  # It was closed meanwhile.
        return found

    def identity_of_open(self, file: OpenFile) -> FileIdentity | None:
        """Return the identity of an open file; None if it was closed."""
        self.spend(0)
        return _identity(f"{self._folder}/fd/{file.number}")

    def identity_of_mapped(self, file: MappedFile) -> FileIdentity | None:
        """Return the identity of a mapped file; None if it was unmapped.

        Raises:
            PermissionError: Only root may ask (proc_pid_map_files(5)).
        """
        self.spend(0)
        # The kernel does not pad the addresses of these names with zeros; in maps it does.
        start, _, end = file.addresses.partition("-")
        name = f"{int(start, 16):x}-{int(end, 16):x}"
        try:
            status = Path(self._folder, "map_files", name).stat()
        except FileNotFoundError:
            return None
        return status.st_dev, status.st_ino

    def identity_of_path(self, path: str) -> FileIdentity | None:
        """Return the identity of what a path means to the process; None if there is nothing.

        Links are followed within the process's own root folder, and its own mounts count.

        Args:
            path: Absolute, or relative to the working folder of the process.
        """
        self.spend(0)
        if self.sees_our_files:
            return _identity(path if path.startswith("/") else f"{self._folder}/cwd/{path}")
        if not path.startswith("/"):
            path = f"{self.working_folder()}/{path}"
        return _identity(self._resolved(path))

    def working_folder(self) -> str:
        """Return the path of its working folder within its own root; empty if it is outside."""
        folder = os.readlink(f"{self._folder}/cwd").removesuffix(DELETED)
        root = os.readlink(f"{self._folder}/root").rstrip("/")
        return folder[len(root) :] if folder == root or folder.startswith(root + "/") else ""

    def has_our_root(self) -> bool:
        """Return whether its root folder is ours."""
        return _identity(f"{self._folder}/root") == _identity("/")

    @functools.cached_property
    def sees_our_files(self) -> bool:
        """Whether every path means the same to it as to us."""
        return self.has_our_root() and self.shares("mnt")

    def shares(self, namespace: str) -> bool:
        """Return whether it is in our namespace: ``mnt``, ``pid`` or ``user`` (namespaces(7))."""
        return _identity(f"{self._folder}/ns/{namespace}") == _identity(
            f"/proc/self/ns/{namespace}"
        )

    def _resolved(self, path: str) -> str:
        """Return a path below the process's root that no link leads out of."""
        root = f"{self._folder}/root"
        left = path.split("/")[::-1]
        done: list[str] = []
        links = 0
        while left:
            part = left.pop()
            self.spend(0)
            if part in ("", "."):
                continue
            if part == "..":
                done = done[:-1]
                continue
            try:
                target = os.readlink("/".join((root, *done, part)))
            except OSError:
                done.append(part)
                continue
            links += 1
            if links > _MOST_LINKS:
                break
            if target.startswith("/"):
                done = []
            left += target.split("/")[::-1]
        return "/".join((root, *done))

    def _inode_of(self, number: str) -> int:
        # A question to the file system itself could wait for ever, for example for a server.
        with open(f"{self._folder}/fdinfo/{number}", "rb") as file:
            for line in file.read(4096).splitlines():
                if line.startswith(b"ino:"):
                    return int(line[4:])
        return Path(self._folder, "fd", number).stat().st_ino  # before Linux 5.14

    def _stat_fields(self) -> list[bytes]:
        # The second field, the program's name in parentheses, may itself hold spaces.
        return self._read("stat").rpartition(b")")[2].split()

    def _real_user(self) -> int:
        # The owner of the folder is root if the program is set-user-ID or not dumpable.
        for line in self._read("status").splitlines():
            if line.startswith(b"Uid:"):
                return int(line.split()[1])
        raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), self._folder)

    def _read(self, name: str) -> bytes:
        chunks = []
        with open(f"{self._folder}/{name}", "rb", buffering=0) as file:
            while chunk := file.read(_CHUNK):
                self.spend(len(chunk))
                chunks.append(chunk)
        return b"".join(chunks)


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

    def is_running(self, pid: int, started: int) -> bool:
        """Return whether a process runs that started then, in clock ticks since the boot."""
        try:
            return Process(self._proc / str(pid)).started() == started
        except OSError:
            return False

    def ancestors(self) -> set[int]:
        """Return this process's parent, its parent, and so on."""
        found: set[int] = set()
        pid = os.getppid()
        with contextlib.suppress(OSError):
            while pid and pid not in found:
                found.add(pid)
                pid = Process(self._proc / str(pid)).parent()
        return found

    def are_visible(self, *, of_all_accounts: bool) -> bool:
        """Return whether processes can be listed.

        They cannot without a proc file system. Those of other accounts cannot if it hides them
        (``hidepid``, proc(5)).
        """
        names = ("self", "1") if of_all_accounts else ("self",)
        return all((self._proc / name).exists() for name in names)

    def device_in_maps(self, path: Path) -> str:
        """Return the device of a file as memory maps write it; empty if the kernel hides it.

        On some file systems, such as Btrfs, it is another one than stat(2) gives.

        Raises:
            OSError: The file cannot be read.
        """
        with path.open("rb") as file, mmap.mmap(file.fileno(), 1, prot=mmap.PROT_READ):
            inode = os.fstat(file.fileno()).st_ino
            maps = (self._proc / "self/maps").read_bytes()
            return next((m.device for m in mapped_files(maps) if m.inode == inode), "")

    def open(self, identity: ProcessIdentity) -> int:
        """Open a descriptor of a process, which keeps naming it (pidfd_open(2)).

        Raises:
            ProcessLookupError: The process has ended. Another one may have its pid.
        """
        descriptor = os.pidfd_open(identity.pid)
        try:
            started = Process(self._proc / str(identity.pid)).started()
        except OSError:
            started = None
        if started != identity.started:
            os.close(descriptor)
            raise ProcessLookupError(errno.ESRCH, os.strerror(errno.ESRCH), str(identity.pid))
        return descriptor

    def user_of(self, pid: int) -> int | None:
        """Return the account of a process; None if it has ended or may not be inspected."""
        try:
            lines = (self._proc / str(pid) / "status").read_text(errors="replace").splitlines()
        except OSError:
            return None
        # The real number: a set-user-ID program's effective one is not its account's.
        return int(next(line for line in lines if line.startswith("Uid:")).split()[1])

    def may_be_set_user_id(self, pid: int) -> bool:
        """Return whether a process of root may have been started by another account.

        It may if that account logged in (pam_loginuid(8)), or if its program is set-user-ID.
        """
        process = self._proc / str(pid)
        try:
            login = int((process / "loginuid").read_text())
        except (OSError, ValueError):
            login = _NO_LOGIN  # a kernel without auditing
        try:
            mode = (process / "exe").stat().st_mode
        except OSError:
            return True
        return login not in (0, _NO_LOGIN) or bool(mode & stat.S_ISUID)

    def command_line(self, pid: int) -> tuple[str, ...]:
        """Return the arguments of a process; empty if it has ended or may not be inspected."""
        try:
            words = (self._proc / str(pid) / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return ()
        return tuple(word.decode(errors="replace") for word in words if word)


def _identity(path: str) -> FileIdentity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 - thousands of Path objects would take the most time
    except OSError:
        return None
    return status.st_dev, status.st_ino
