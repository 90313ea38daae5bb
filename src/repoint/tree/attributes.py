"""What files have besides their content and mode, which the seal does not cover and a copy loses.

A tree in the store belongs to one account and has no extended attributes. So a component for which
more than that matters is refused: neither lost silently, nor turned into something else, such as a
set-user-ID program of another account into one of root.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from repoint.fs.folders import located, open_folder, open_regular
from repoint.fs.walk import walk
from repoint.tree.errors import UnfitTreeError
from repoint.tree.scan import ALWAYS_IGNORED, ignored_by

_MEANINGS = {
    "security.capability": "has file capabilities",
    "system.posix_acl_access": "has an access control list",
    "system.posix_acl_default": "has an access control list",
}
"""What the attributes are that administrators know by another name."""

_OF_THE_SYSTEM = (
    "security.selinux",
    "security.SMACK64",
    "security.apparmor",
    "security.ima",
    "security.evm",
    "system.nfs4",
    "trusted.overlay.",
    "user.overlay.",
    "user.xdg.",
    "btrfs.",
)
"""Beginnings of the names of attributes that do not belong to the component: the kernel gives each
new file its own, or they say where a file was downloaded from."""


def require_plain(root: Path, *, ignore: tuple[str, ...] = ALWAYS_IGNORED) -> None:
    """Refuse a tree whose copy would lose something that its files have, or gain it.

    Args:
        root: The tree.
        ignore: Patterns of what is not copied, as in `scan_tree`.

    Raises:
        UnfitTreeError: The message names the first such path.
    """
    for found in walk(root, skip=ignored_by(ignore)):
        reason = _why_changed_by_ownership(found.status)
        if not reason:
            with located(root, found.path):
                reason = _attribute(found.name, found.folder, found.status)
        if reason:
            raise UnfitTreeError(
                f"{root}/{found.path} {reason}",
                hint="The seal does not cover that: leave the file out of the component, or tell "
                "the vendor",
            )


def _why_changed_by_ownership(status: os.stat_result) -> str:
    """Return what is wrong if a copy that belongs to this account is not what the file was."""
    if stat.S_ISLNK(status.st_mode):
        return ""
    user, group = os.geteuid(), os.getegid()
    mode = status.st_mode
    if stat.S_ISREG(mode):
        if mode & stat.S_ISUID and status.st_uid != user:
            return f"is a set-user-ID program of another account (uid {status.st_uid})"
        if mode & stat.S_ISGID and status.st_gid != group:
            return f"is a set-group-ID program of another group (gid {status.st_gid})"
    others = mode & 0o5
    if status.st_uid != user and mode >> 6 & 0o5 & ~others:
        return f"may be used by its owner (uid {status.st_uid}) but not by everybody"
    if status.st_gid != group and mode >> 3 & 0o5 & ~others:
        return f"may be used by its group (gid {status.st_gid}) but not by everybody"
    return ""


def _attribute(name: str, folder: int, status: os.stat_result) -> str:
    """Return which extended attribute of a file or folder would be lost, in words; "" if none."""
    if stat.S_ISREG(status.st_mode):
        opened = open_regular(name, within=folder)
    elif stat.S_ISDIR(status.st_mode):
        opened = open_folder(name, within=folder)
    else:
        return ""
    try:
        attributes = os.listxattr(opened)
    except OSError:
        return ""  # the file system has none
    finally:
        os.close(opened)
    for attribute in sorted(attributes):
        if not attribute.startswith(_OF_THE_SYSTEM):
            return _MEANINGS.get(attribute, f"has the extended attribute {attribute}")
    return ""
