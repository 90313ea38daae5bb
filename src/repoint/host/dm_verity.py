"""Asking the kernel which image it checks, block by block, and against which root hash."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_BLOCKS = Path("/sys/block")
_DEVICES = Path("/dev")
_CONTROL = _DEVICES / "mapper/control"

# linux/loop.h: LOOP_GET_STATUS64, and the first two fields of struct loop_info64
_LOOP_STATUS = 0x4C05
_LOOP_INFO = struct.Struct("<QQ216x")

# linux/dm-ioctl.h: struct dm_ioctl, struct dm_target_spec, _IOWR(0xfd, 12, struct dm_ioctl)
_HEAD = struct.Struct("<3IIIIiIIIQ128s129s7x")
_TARGET = struct.Struct("<QQiI16s")
_TABLE_STATUS = 0xC138FD0C
_STATUS_TABLE_FLAG = 1 << 4
_ROOM = 16384

_ROOT_HASH_AT = 8
"""Where the root hash stands in the arguments of the target, after the algorithm:
Documentation/admin-guide/device-mapper/verity.rst."""


def is_checked(image: Path, root_hash: str) -> bool:
    """Whether a device of the kernel shows an image, and checks it against that root hash.

    Only root may ask.
    """
    for loop in loops_over(image):
        for holder in Path(_BLOCKS, loop, "holders").glob("dm-*"):
            name = _text(holder / "dm/name")
            if _text(holder / "dm/uuid").startswith("CRYPT-VERITY-") and _root_hash(name) == (
                root_hash
            ):
                return True
    return False


def loops_over(image: Path) -> list[str]:
    """The names of the loop devices of a file.

    They are known by its number: the path that the kernel gives of it is that of a mount which may
    be gone.
    """
    status = image.stat()
    major, minor = os.major(status.st_dev), os.minor(status.st_dev)
    # linux/kdev_t.h: huge_encode_dev
    device = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
    wanted = (device, status.st_ino)
    return [found.parent.parent.name for found in _BLOCKS.glob("loop*/loop/backing_file")
            if _backing(found.parent.parent.name) == wanted]  # fmt: skip


def _backing(loop: str) -> tuple[int, int] | None:
    """Device and inode number of the file that a loop device shows."""
    information = bytearray(_LOOP_INFO.size)
    try:
        with (_DEVICES / loop).open("rb") as device:
            fcntl.ioctl(device, _LOOP_STATUS, information)
    except OSError:
        return None
    device_number, inode = _LOOP_INFO.unpack(information)
    return device_number, inode


def _root_hash(name: str) -> str:
    """The root hash of the dm-verity device of that name; empty where it is none."""
    request = bytearray(_ROOM)
    _HEAD.pack_into(
        request, 0, 4, 0, 0, _ROOM, _HEAD.size, 0, 0, _STATUS_TABLE_FLAG, 0, 0, 0,
        name.encode(), b"",
    )  # fmt: skip
    try:
        with _CONTROL.open("rb") as control:
            fcntl.ioctl(control, _TABLE_STATUS, request)
    except OSError:
        return ""
    _, _, _, _, start, targets, *_ = _HEAD.unpack_from(request)
    *_, kind = _TARGET.unpack_from(request, start)
    words = request[start + _TARGET.size :].split(b"\0")[0].split()
    if targets != 1 or kind.rstrip(b"\0") != b"verity" or len(words) <= _ROOT_HASH_AT:
        return ""
    return words[_ROOT_HASH_AT].decode(errors="replace")


def _text(file: Path) -> str:
    try:
        return file.read_text().rstrip("\n")
    except OSError:
        return ""
