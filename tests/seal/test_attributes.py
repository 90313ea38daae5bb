"""What the seal does not cover: a component for which it matters is refused."""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.fs.removal import remove_tree
from repoint.tree.attributes import require_plain
from repoint.tree.errors import UnfitTreeError

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
CAPABILITY = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw=ep
NOBODY = 0xFFFFFFFF
ACL = struct.pack("<I", 2) + b"".join(
    struct.pack("<HHI", *entry)
    for entry in ((1, 6, NOBODY), (2, 4, 1234), (4, 4, NOBODY), (16, 4, NOBODY), (32, 4, NOBODY))
)
Change = Callable[[Path], None]


def attribute(path: str, name: str, value: bytes = b"x") -> Change:
    return lambda root: os.setxattr(root / path, name, value)


def owned(path: str, user: int, group: int, mode: int) -> Change:
    def change(root: Path) -> None:
        os.chown(root / path, user, group)
        (root / path).chmod(mode)

    return change


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    (root / "bin").mkdir(parents=True)
    (root / "bin/tool").write_text("#!/bin/sh\n")
    (root / "bin/tool").chmod(0o755)
    (root / "link").symlink_to("bin/tool")
    (root / "__pycache__").mkdir()
    return root


REFUSED = {
    "file capabilities": (
        attribute("bin/tool", "security.capability", CAPABILITY),
        "bin/tool has file capabilities",
    ),
    "an access control list": (
        attribute("bin/tool", "system.posix_acl_access", ACL),
        "bin/tool has an access control list",
    ),
    "a default list of a folder": (
        attribute("bin", "system.posix_acl_default", ACL),
        "bin has an access control list",
    ),
    "an attribute of a file": (
        attribute("bin/tool", "user.pax.flags"),
        "bin/tool has the extended attribute user.pax.flags",
    ),
    "an attribute of a folder": (
        attribute("bin", "user.note"),
        "bin has the extended attribute user.note",
    ),
    "a trusted attribute": (
        attribute("bin/tool", "trusted.note"),
        "bin/tool has the extended attribute trusted.note",
    ),
    "a set-user-ID program of another account": (
        owned("bin/tool", 65534, 0, 0o4755),
        "bin/tool is a set-user-ID program of another account (uid 65534)",
    ),
    "a set-group-ID program of another group": (
        owned("bin/tool", 0, 65534, 0o2755),
        "bin/tool is a set-group-ID program of another group (gid 65534)",
    ),
    "a set-user-ID program of root and another group": (
        owned("bin/tool", 0, 65534, 0o6755),
        "bin/tool is a set-group-ID program of another group (gid 65534)",
    ),
    "a file that only another account may read": (
        owned("bin/tool", 65534, 0, 0o600),
        "bin/tool may be used by its owner (uid 65534) but not by everybody",
    ),
    "a program that only a group may run": (
        owned("bin/tool", 0, 65534, 0o754),
        "bin/tool may be used by its group (gid 65534) but not by everybody",
    ),
    "a folder that only a group may enter": (
        owned("bin", 0, 65534, 0o750),
        "bin may be used by its group (gid 65534) but not by everybody",
    ),
}


@as_root
@pytest.mark.parametrize("case", REFUSED)
def test_what_a_copy_would_lose_is_refused(tree: Path, case: str) -> None:
    change, reason = REFUSED[case]
    try:
        change(tree)
    except OSError as error:
        pytest.skip(f"this file system cannot hold it: {error}")
    with pytest.raises(UnfitTreeError, match=re.escape(f"{tree}/{reason}")) as refused:
        require_plain(tree)
    assert "leave the file out" in refused.value.hint


ACCEPTED = {
    "nothing special": lambda root: None,
    "a label of SELinux": attribute("bin/tool", "security.selinux", b"system_u:object_r:bin_t:s0"),
    "where it was downloaded from": attribute("bin/tool", "user.xdg.origin.url"),
    "files of another account that everybody may use": owned("bin/tool", 65534, 65534, 0o755),
    "a set-user-ID program of root": owned("bin/tool", 0, 0, 0o4755),
    "a private file of root": owned("bin/tool", 0, 0, 0o700),
    "a link of another account": lambda root: os.lchown(root / "link", 65534, 65534),
    "an attribute of what is not copied": attribute("__pycache__", "user.note"),
}


@as_root
@pytest.mark.parametrize("case", ACCEPTED)
def test_what_makes_no_difference_is_accepted(tree: Path, case: str) -> None:
    try:
        ACCEPTED[case](tree)
    except OSError as error:
        pytest.skip(f"this file system cannot hold it: {error}")
    require_plain(tree)


def test_a_deep_tree_is_looked_through(tree: Path) -> None:
    here = os.open(tree, os.O_RDONLY)
    for _ in range(1100):
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.setxattr(here, "user.note", b"x")
    os.close(here)
    with pytest.raises(UnfitTreeError, match=r"user\.note"):
        require_plain(tree)
    remove_tree(tree)  # pytest cannot: it would fail when it removes the folders of earlier runs
