"""The dm-verity hash tree, by which the kernel verifies each block of an image when it is read.

Every block has a SHA-256 digest. The digests fill blocks that have digests in turn, up to a single
one, the *root hash*, which authenticates the whole image. The format is version 1 without a salt:
see the kernel's Documentation/admin-guide/device-mapper/verity.rst, and cryptsetup's
lib/verity/verity.c for the superblock. A salt would prevent precomputed digests of secret content;
the content of an image is public.
"""

from __future__ import annotations

import hashlib
import struct

BLOCK = 4096
"""Bytes of a block, of data and of digests."""

_SUPER = struct.Struct("<8sII16s32sIIQH6x256s168x")
_DIGEST = 32


class HashTree:
    """A hash tree that is computed while an image is written or read.

    It keeps 32 bytes per block, 0.8 % of the data.
    """

    def __init__(self) -> None:
        self._digests = bytearray()

    def update(self, chunk: bytes) -> None:
        """Add the next blocks; ``chunk`` must be whole blocks."""
        if len(chunk) % BLOCK:
            raise ValueError("not whole blocks")
        view = memoryview(chunk)
        sha256 = hashlib.sha256
        for at in range(0, len(chunk), BLOCK):
            self._digests += sha256(view[at : at + BLOCK]).digest()

    @property
    def root_hash(self) -> str:
        """The root hash of the blocks so far: 64 hexadecimal digits."""
        top = self._levels()
        return hashlib.sha256(top[-1]).hexdigest() if top else bytes(self._digests).hex()

    def file(self, identity: bytes) -> bytes:
        """Return the hash tree's file: a superblock, then the levels from the top.

        Args:
            identity: The 16-byte UUID of the tree.
        """
        head = _SUPER.pack(
            b"verity", 1, 1, identity, b"sha256", BLOCK, BLOCK, len(self._digests) // _DIGEST,
            0, b"",
        )  # fmt: skip
        return b"".join([_padded(head), *reversed(self._levels())])

    def _levels(self) -> list[bytes]:
        """Return the levels of digest blocks, lowest first; the last is a single block.

        A single data block has no levels: its digest is the root hash.
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
