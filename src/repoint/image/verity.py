"""The hash tree by which the kernel checks each block of an image when it is read: dm-verity.

Every block has its SHA-256 digest; the digests fill blocks, which have digests again, up to one
digest for all, the *root hash*. Who trusts that trusts the image. The form is version 1, without a
salt, as the kernel's Documentation/admin-guide/device-mapper/verity.rst and cryptsetup's
lib/verity/verity.c (for the superblock) have it. A salt would let nobody compute digests ahead of
time who does not know the content; here everybody may know it.
"""

from __future__ import annotations

import hashlib
import struct

BLOCK = 4096
"""Bytes of a block, of data and of digests."""

_SUPER = struct.Struct("<8sII16s32sIIQH6x256s168x")
_DIGEST = 32


class HashTree:
    """A hash tree, made while the blocks pass by.

    Holds 32 bytes for each block: eight thousandths of the data.
    """

    def __init__(self) -> None:
        self._digests = bytearray()

    def update(self, chunk: bytes) -> None:
        """Take the next whole blocks."""
        if len(chunk) % BLOCK:
            raise ValueError("not whole blocks")
        view = memoryview(chunk)
        sha256 = hashlib.sha256
        for at in range(0, len(chunk), BLOCK):
            self._digests += sha256(view[at : at + BLOCK]).digest()

    @property
    def root_hash(self) -> str:
        """The root hash of the blocks that have passed: 64 hexadecimal digits."""
        top = self._levels()
        return hashlib.sha256(top[-1]).hexdigest() if top else bytes(self._digests).hex()

    def file(self, identity: bytes) -> bytes:
        """The tree as the file that goes with the image: a superblock, then level by level.

        Args:
            identity: The 16 bytes by which programs tell trees apart.
        """
        head = _SUPER.pack(
            b"verity", 1, 1, identity, b"sha256", BLOCK, BLOCK, len(self._digests) // _DIGEST,
            0, b"",
        )  # fmt: skip
        return b"".join([_padded(head), *reversed(self._levels())])

    def _levels(self) -> list[bytes]:
        """The blocks of digests, the lowest level first; the last is one block, or there is none.

        A single block has no tree: its digest is the root hash.
        """
        if len(self._digests) <= _DIGEST:
            return []
        levels = [_padded(bytes(self._digests))]
        while len(levels[-1]) > BLOCK:
            below = HashTree()
            below.update(levels[-1])
            levels.append(_padded(bytes(below._digests)))
        return levels


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)
