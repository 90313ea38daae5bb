"""The base: the files of a running system below everything that is merged over them.

While something is merged over /usr, no path reaches the files below. So a child process with a
mount namespace of its own unmounts the merged view, for itself alone, and reads them.
"""

from __future__ import annotations

import ctypes
import os
import stat
import sys
from pathlib import Path

import msgspec

from repoint.host.errors import CannotMergeError
from repoint.host.run import run
from repoint.host.systemd.sysext import SystemExtensions
from repoint.model.errors import InvalidRecordError
from repoint.model.system import release_fields
from repoint.model.tree import Entry
from repoint.tree.merged_usr import relative_target
from repoint.tree.scan import read_entry

# sched.h, sys/mount.h
_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2
_SECONDS = 600.0


class BaseQuery(msgspec.Struct, frozen=True):
    """Which paths to read, relative to a folder, and what to unmount first.

    ``folders`` maps further folders to the permissions they should have.
    """

    root: str
    paths: tuple[str, ...]
    hierarchies: tuple[str, ...]
    folders: dict[str, int] = {}


class BaseContents(msgspec.Struct, frozen=True):
    """What the base holds.

    Attributes:
        entries: Those of the paths that exist, as a seal would describe them.
        foreign: Paths whose owner, group or file capabilities a copy would lose.
        release: ``ID`` and ``VERSION_ID`` of the system, if it has them.
        mismatched: Folders that exist, but do not belong to root or have other permissions than
            those in the query.
    """

    entries: tuple[Entry, ...]
    foreign: tuple[str, ...]
    release: dict[str, str]
    mismatched: tuple[str, ...] = ()


class BaseSystem:
    """The base of a machine.

    Args:
        sysext: What is merged over it.
    """

    def __init__(self, sysext: SystemExtensions) -> None:
        self._sysext = sysext

    def read(self, root: str, paths: tuple[str, ...]) -> BaseContents:
        """Read paths of the base, whatever is merged over it.

        Raises:
            CannotMergeError: This process cannot read the base.
        """
        return self._answer(BaseQuery(root, paths, tuple(self._sysext.merged())))

    def mismatched_folders(self, folders: dict[str, int]) -> tuple[str, ...]:
        """Return the folders that do not belong to root or have other permissions than these.

        A folder that does not exist is not among them.

        Raises:
            CannotMergeError: This process cannot read the base.
        """
        query = BaseQuery("/", (), tuple(self._sysext.merged()), folders)
        return self._answer(query).mismatched

    def release(self) -> dict[str, str]:
        """``ID`` and ``VERSION_ID`` of the system; see `read_release`."""
        return read_release()

    def _answer(self, query: BaseQuery) -> BaseContents:
        if not query.hierarchies:
            return _read(query)
        from repoint.delta.sandbox.process import python_command, python_environment

        result = run(
            python_command("repoint.host.base_system"),
            seconds=_SECONDS,
            standard_input=msgspec.json.encode(query).decode(),
            environment=python_environment(),
        )
        if not result.succeeded:
            raise CannotMergeError(
                f"Cannot read the base below {', '.join(query.hierarchies)}: {result.reason}",
                hint="Run it as root",
            )
        return msgspec.json.decode(result.output, type=BaseContents)


def read_release(root: Path = Path("/")) -> dict[str, str]:
    """Read the fields of os-release(5) that a system extension has to match."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(errors="replace")
        except OSError:
            continue
        return release_fields(text)
    return {}


def main() -> None:
    """Run the child process: read the query from standard input, write the contents to output."""
    query = msgspec.json.decode(sys.stdin.buffer.read(), type=BaseQuery)
    libc = ctypes.CDLL(None, use_errno=True)
    _require(libc.unshare(_CLONE_NEWNS), "unshare")
    _require(libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "mount")
    for hierarchy in query.hierarchies:
        _require(libc.umount2(hierarchy.encode(), _MNT_DETACH), hierarchy)
    sys.stdout.buffer.write(msgspec.json.encode(_read(query)))


def _read(query: BaseQuery) -> BaseContents:
    entries, foreign = [], []
    for name in query.paths:
        path = Path(query.root, name)
        try:
            # A parent that is a link would lead elsewhere; then the component is not there.
            if os.path.realpath(path.parent) != str(path.parent):
                continue
            entries.append(_entry(query.root, path, name))
            if _is_foreign(path):
                foreign.append(name)
        except (FileNotFoundError, NotADirectoryError, InvalidRecordError):
            continue
    mismatched = [
        folder
        for folder, mode in query.folders.items()
        if _is_mismatched(Path(query.root, folder), mode)
    ]
    return BaseContents(tuple(entries), tuple(foreign), read_release(), tuple(mismatched))


def _entry(root: str, path: Path, name: str) -> Entry:
    if root == "/" and path.is_symlink():
        # As the baseline has it: packages link to absolute paths.
        return Entry(path=name, kind="link", target=relative_target(name, str(path.readlink())))
    return read_entry(path, name)


def _is_mismatched(folder: Path, mode: int) -> bool:
    try:
        status = folder.lstat()
    except OSError:
        return False
    expected = (stat.S_IFDIR | mode, 0, 0)
    return (status.st_mode, status.st_uid, status.st_gid) != expected


def _is_foreign(path: Path) -> bool:
    status = path.lstat()
    if status.st_uid != 0 or status.st_gid != 0:
        return True
    try:
        return "security.capability" in os.listxattr(path, follow_symlinks=False)
    except OSError:
        return False


def _require(result: int, operation: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), operation)
