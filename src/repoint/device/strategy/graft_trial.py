"""The trial of a graft point: whether a link can take the folder's place, before anything changes.

The kernel decides that, so the kernel is asked. A folder renamed onto one that is not empty is
refused by every file system; but before that, the kernel refuses a folder that cannot be moved at
all, with another error.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.store.product_state import ProductState
from repoint.device.store.records import GraftPoint
from repoint.device.strategy.grafts import graft_target, link_beside
from repoint.fs.exchange import exchange
from repoint.fs.removal import remove_tree
from repoint.host.host import Host

_MOVABLE = (errno.ENOTEMPTY, errno.EEXIST)
_NO_EXCHANGE = (errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP)
_FULL = (errno.ENOSPC, errno.EDQUOT)
_NO_RIGHT = (errno.EACCES, errno.EPERM)


def try_graft(state: ProductState, host: Host, point: GraftPoint) -> None:
    """Try out whether a link can take the place of the folder at a graft point.

    Works with names of its own next to the folder, and removes them.

    Raises:
        EnrolmentRefusedError: It cannot.
    """
    path = Path(point.path)
    _refuse_mounts(host, path)
    _refuse_foreign_neighbour(state, point)
    scratch = path.with_name(f".{path.name}.repoint-trial")
    try:
        remove_tree(scratch)
        try:
            _try_exchange(path, scratch)
            _try_move(path, scratch)
        finally:
            remove_tree(scratch)
    except OSError as error:
        raise _refusal(state.name, path, error) from error


def _refuse_mounts(host: Host, path: Path) -> None:
    mounted = host.mounts.at_or_below(path)
    if mounted:
        what = "is a mount point" if mounted[0] == path else f"holds the mount point {mounted[0]}"
        raise EnrolmentRefusedError(
            f"{path} {what}, so no link can take its place",
            hint=f"Run `umount {mounted[0]}`, or name a folder without mounts as the graft point",
        )


def _refuse_foreign_neighbour(state: ProductState, point: GraftPoint) -> None:
    """Refuse if the name that the exchange needs is taken by something that is not ours."""
    beside = link_beside(point)
    if not os.path.lexists(beside):
        return
    # An enrolment in another store may have been interrupted, too.
    product, component = re.escape(state.name), re.escape(point.component)
    ours = re.compile(f".*/products/{product}/active/{component}")
    if beside.is_symlink() and ours.fullmatch(str(beside.readlink())):
        return
    raise EnrolmentRefusedError(
        f"{beside} is in the way: Repoint needs this name for the link to "
        f"{graft_target(state, point.component)}",
        hint="Move it away, then try again",
    )


def _try_exchange(path: Path, scratch: Path) -> None:
    """Exchange a folder and a link, both our own, on the file system of the graft point."""
    scratch.mkdir(0o700)
    folder, link = scratch / "folder", scratch / "link"
    folder.mkdir(0o700)
    try:
        link.symlink_to("folder")
        exchange(link, folder)
    except OSError as error:
        if error.errno in (*_NO_EXCHANGE, errno.EPERM):
            raise EnrolmentRefusedError(
                f"The file system of {path} has no symbolic links, or cannot exchange two names",
                hint="Move the component to another file system, such as ext4, XFS or Btrfs",
            ) from error
        raise


def _try_move(path: Path, scratch: Path) -> None:
    """Ask the kernel whether the folder itself can be moved. It is not moved."""
    try:
        path.rename(scratch)
    except OSError as error:
        if error.errno not in _MOVABLE:
            raise


def _refusal(product: str, path: Path, error: OSError) -> EnrolmentRefusedError:
    number = error.errno or 0
    if number == errno.EXDEV:
        return EnrolmentRefusedError(
            f"{path} comes from a lower layer of an overlay, whose folders cannot be moved",
            hint=f"Copy it within the overlay: `cp -a {path} {path}.new`, remove {path}, rename "
            "the copy; or mount the overlay with redirect_dir=on",
        )
    if number == errno.EBUSY:
        return EnrolmentRefusedError(
            f"{path} is in use as a mount point, so no link can take its place",
            hint="Unmount it, or name a folder without mounts as the graft point",
        )
    if number == errno.EROFS:
        return EnrolmentRefusedError(
            f"The file system of {path} is read-only",
            hint="Make it writable, or enrol a copy of the component that is",
        )
    if number in _FULL:
        return EnrolmentRefusedError(
            f"The disk is full at {path.parent}", hint="Free some space and try again"
        )
    if number in _NO_RIGHT:
        return EnrolmentRefusedError(
            f"No right to enrol {product} at {path}: a link must take its place in {path.parent}",
            hint=f"Run it as the user who owns it, or as root; for root, see `lsattr -d {path}`",
        )
    return EnrolmentRefusedError(
        f"No link can take the place of {path}: {os.strerror(number)}",
        hint="Name another folder as the graft point",
    )
