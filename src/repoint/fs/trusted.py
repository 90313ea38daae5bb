"""Files whose content is believed because of who could have written them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Collection
from pathlib import Path

_MOST_LINKS = 40


class UntrustedFileError(Exception):
    """Another account could change a file, or read a secret one.

    Attributes:
        path: The file, or the folder or link on the way to it.
        reason: What is wrong with it, to follow the path.
        remedy: What makes it right.
    """

    def __init__(self, path: Path, reason: str, remedy: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason
        self.remedy = remedy


def require_trusted_way(path: Path, owners: Collection[int]) -> None:
    """Refuse a path if an account other than the owners could change what it leads to.

    Each folder and each symbolic link on the way is examined, and the last name if it is a folder.
    A sticky folder such as ``/tmp`` is trusted, because nobody renames there what others own.

    Args:
        path: The path.
        owners: The user IDs that may own it.

    Raises:
        UntrustedFileError: A folder or a link belongs to another account, or others may write to
            a folder.
        OSError: The path does not exist, or there is no right to see it.
    """
    current, rest, links = Path("/"), list(reversed(path.absolute().parts[1:])), 0
    _require_folder(current, os.lstat(current), owners)
    while rest:
        name = rest.pop()
        current = current.parent if name == ".." else current / name
        status = os.lstat(current)
        if stat.S_ISLNK(status.st_mode):
            links += 1
            if links > _MOST_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
            _require_owner(current, status, owners)
            target = Path(os.readlink(current))
            rest += reversed(target.parts[1:] if target.is_absolute() else target.parts)
            current = Path("/") if target.is_absolute() else current.parent
        elif stat.S_ISDIR(status.st_mode):
            _require_folder(current, status, owners)


def read_trusted(path: Path, owners: Collection[int], *, limit: int, secret: bool = False) -> bytes:
    """Read a file that nobody but its owners can change.

    Args:
        path: The file.
        owners: The user IDs that may own it and the folders above it.
        limit: The largest size in bytes.
        secret: Whether nobody else may read it either.

    Raises:
        UntrustedFileError: Another account could change it, or read it if it is secret.
        OSError: It cannot be read, is no regular file, or is larger than the limit.
    """
    require_trusted_way(path, owners)
    # A pipe must not block.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with open(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "It is not a regular file", str(path))
        path = path.resolve()  # the messages name the file behind the links
        _require_owner(path, status, owners)
        if status.st_mode & 0o022:
            raise UntrustedFileError(
                path, "may be changed by other accounts", f"Run `chmod go-w {path}`"
            )
        if secret and status.st_mode & 0o077:
            raise UntrustedFileError(
                path, "may be read by other accounts", f"Run `chmod 600 {path}`"
            )
        content = file.read(limit + 1)
    if len(content) > limit:
        raise OSError(errno.EFBIG, f"It is larger than {limit >> 10} KiB", str(path))
    return content


def _require_folder(path: Path, status: os.stat_result, owners: Collection[int]) -> None:
    _require_owner(path, status, owners)
    if status.st_mode & 0o022 and not status.st_mode & stat.S_ISVTX:
        raise UntrustedFileError(
            path, "may be changed by other accounts", f"Run `chmod go-w {path}`"
        )


def _require_owner(path: Path, status: os.stat_result, owners: Collection[int]) -> None:
    if status.st_uid not in owners:
        raise UntrustedFileError(
            path,
            f"belongs to another account (uid {status.st_uid})",
            f"Run `chown -h root {path}`",
        )
