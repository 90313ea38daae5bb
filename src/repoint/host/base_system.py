"""Looking at a base: the files of a running system below everything that is merged over them.

While something is merged over /usr, the files below cannot be reached by any path. So a child with
a mount namespace of its own takes the merge away, for itself alone, and looks.
"""

from __future__ import annotations

import ctypes
import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec

from repoint.delta.sandbox.process import python_command
from repoint.host.errors import CannotMergeError
from repoint.host.sysext import merged
from repoint.model.errors import InvalidRecordError
from repoint.model.system import release_fields
from repoint.model.tree import Entry
from repoint.tree.scan import read_entry

# sched.h, sys/mount.h
_CLONE_NEWNS = 0x00020000
_MS_REC_PRIVATE = 0x4000 | 0x40000
_MNT_DETACH = 2
_SECONDS = 600.0


class BaseQuery(msgspec.Struct, frozen=True):
    """Which paths to look at, relative to a folder, and what to take away before.

    ``folders`` are those whose permissions count, and these.
    """

    root: str
    paths: tuple[str, ...]
    hierarchies: tuple[str, ...]
    folders: dict[str, int] = {}


class BaseContents(msgspec.Struct, frozen=True):
    """What was found: those of the paths that are there, and who owns each that root does not.

    Attributes:
        entries: The paths, as a seal would hold them.
        foreign: Paths whose owner, group or file capabilities would be lost in a copy.
        release: ``ID`` and ``VERSION_ID`` of the system, as far as it has them.
        unlike: Folders that are there, but not as root's and with the permissions that were asked.
    """

    entries: tuple[Entry, ...]
    foreign: tuple[str, ...]
    release: dict[str, str]
    unlike: tuple[str, ...] = ()


def look_at_base(root: str, paths: tuple[str, ...]) -> BaseContents:
    """Read paths of the base, whatever is merged over it.

    Raises:
        CannotMergeError: That cannot be done here.
    """
    return _found(BaseQuery(root, paths, tuple(merged())))


def unlike_folders(folders: dict[str, int]) -> tuple[str, ...]:
    """Those of the system's folders that are not root's, or have other permissions than these.

    One that is not there is none of them.

    Raises:
        CannotMergeError: That cannot be seen here.
    """
    return _found(BaseQuery("/", (), tuple(merged()), folders)).unlike


def _found(order: BaseQuery) -> BaseContents:
    if not order.hierarchies:
        return _look(order)
    done = subprocess.run(
        python_command("repoint.host.base_system"), input=msgspec.json.encode(order),
        capture_output=True, timeout=_SECONDS, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        said = done.stderr.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        raise CannotMergeError(
            f"The base below {', '.join(order.hierarchies)} cannot be looked at: {said[-1]}",
            hint="Run it as root",
        )
    return msgspec.json.decode(done.stdout, type=BaseContents)


def main() -> None:
    """The child: take the order from standard input, give what was found to standard output."""
    order = msgspec.json.decode(sys.stdin.buffer.read(), type=BaseQuery)
    libc = ctypes.CDLL(None, use_errno=True)
    _require(libc.unshare(_CLONE_NEWNS), "unshare")
    _require(libc.mount(b"none", b"/", None, _MS_REC_PRIVATE, None), "mount")
    for hierarchy in order.hierarchies:
        _require(libc.umount2(hierarchy.encode(), _MNT_DETACH), hierarchy)
    sys.stdout.buffer.write(msgspec.json.encode(_look(order)))


def release_of(root: Path = Path("/")) -> dict[str, str]:
    """What os-release(5) says of the system: the fields that an extension has to match."""
    for name in ("etc/os-release", "usr/lib/os-release"):
        try:
            text = (root / name).read_text(errors="replace")
        except OSError:
            continue
        return release_fields(text)
    return {}


def _look(order: BaseQuery) -> BaseContents:
    entries, foreign = [], []
    for name in order.paths:
        place = Path(order.root, name)
        try:
            # A parent that is a link would lead elsewhere; then nothing of ours stands there.
            if os.path.realpath(place.parent) != str(place.parent):
                continue
            entries.append(read_entry(place, name))
            if _is_foreign(place):
                foreign.append(name)
        except (FileNotFoundError, NotADirectoryError, InvalidRecordError):
            continue
    unlike = [f for f, mode in order.folders.items() if _is_unlike(Path(order.root, f), mode)]
    return BaseContents(tuple(entries), tuple(foreign), release_of(), tuple(unlike))


def _is_unlike(place: Path, mode: int) -> bool:
    try:
        status = place.lstat()
    except OSError:
        return False
    known = (stat.S_IFDIR | mode, 0, 0)
    return (status.st_mode, status.st_uid, status.st_gid) != known


def _is_foreign(place: Path) -> bool:
    status = place.lstat()
    if status.st_uid != 0 or status.st_gid != 0:
        return True
    try:
        return "security.capability" in os.listxattr(place, follow_symlinks=False)
    except OSError:
        return False


def _require(result: int, what: str) -> None:
    if result != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), what)
