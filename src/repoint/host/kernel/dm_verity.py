"""Which images the kernel verifies, block by block, and against which root hash."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

# linux/loop.h: LOOP_GET_STATUS64, and the first two fields of struct loop_info64
_LOOP_STATUS = 0x4C05
_LOOP_INFO = struct.Struct("<QQ216x")

# linux/dm-ioctl.h: struct dm_ioctl, struct dm_target_spec, _IOWR(0xfd, 12, struct dm_ioctl)
_HEAD = struct.Struct("<3IIIIiIIIQ128s129s7x")
_TARGET = struct.Struct("<QQiI16s")
_TABLE_STATUS = 0xC138FD0C
_STATUS_TABLE_FLAG = 1 << 4
_BUFFER_SIZE = 16384

_ROOT_HASH_INDEX = 8
"""Index of the root hash in the arguments of the target, after the algorithm:
Documentation/admin-guide/device-mapper/verity.rst."""


class DmVerity:
    """The dm-verity devices of a machine.

    Args:
        blocks: The block devices in sysfs.
        devices: The folder of device files.
    """

    def __init__(self, blocks: Path = Path("/sys/block"), devices: Path = Path("/dev")) -> None:
        self._blocks = blocks
        self._devices = devices

    def is_verified(self, image: Path, root_hash: str) -> bool:
        """Return whether the kernel exposes an image and verifies it against that root hash.

        Only root may ask.
        """
        for loop in self.loops_over(image):
            for holder in Path(self._blocks, loop, "holders").glob("dm-*"):
                name = _text(holder / "dm/name")
                is_verity = _text(holder / "dm/uuid").startswith("CRYPT-VERITY-")
                if is_verity and self._root_hash(name) == root_hash:
                    return True
        return False

    def loops_over(self, image: Path) -> list[str]:
        """Return the names of the loop devices of a file.

        They are found by the file's device and inode number: the path that the kernel gives is
        that of a mount which may be gone.
        """
        status = image.stat()
        major, minor = os.major(status.st_dev), os.minor(status.st_dev)
        # linux/kdev_t.h: huge_encode_dev
        device = (minor & 0xFF) | (major << 8) | ((minor & ~0xFF) << 12)
        wanted = (device, status.st_ino)
        loops = (file.parent.parent.name for file in self._blocks.glob("loop*/loop/backing_file"))
        return [loop for loop in loops if self.backing_file(loop) == wanted]

    def backing_file(self, loop: str) -> tuple[int, int] | None:
        """Return the device and inode number of a loop device's file; None if it has none."""
        information = bytearray(_LOOP_INFO.size)
        try:
            with (self._devices / loop).open("rb") as device:
                fcntl.ioctl(device, _LOOP_STATUS, information)
        except OSError:
            return None
        device_number, inode = _LOOP_INFO.unpack(information)
        return device_number, inode

    def _root_hash(self, name: str) -> str:
        """The root hash of the dm-verity device of that name; empty if it is not one."""
        request = bytearray(_BUFFER_SIZE)
        _HEAD.pack_into(
            request, 0, 4, 0, 0, _BUFFER_SIZE, _HEAD.size, 0, 0, _STATUS_TABLE_FLAG, 0, 0, 0,
            name.encode(), b"",
        )  # fmt: skip
        try:
            with (self._devices / "mapper/control").open("rb") as control:
                fcntl.ioctl(control, _TABLE_STATUS, request)
        except OSError:
            return ""
        _, _, _, _, start, targets, *_ = _HEAD.unpack_from(request)
        *_, kind = _TARGET.unpack_from(request, start)
        words = request[start + _TARGET.size :].split(b"\0")[0].split()
        is_verity = targets == 1 and kind.rstrip(b"\0") == b"verity"
        if not is_verity or len(words) <= _ROOT_HASH_INDEX:
            return ""
        return words[_ROOT_HASH_INDEX].decode(errors="replace")


def _text(file: Path) -> str:
    try:
        return file.read_text().rstrip("\n")
    except OSError:
        return ""
