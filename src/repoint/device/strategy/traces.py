"""How to recognise files of components in memory maps, outside of the store's trees."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class SharedFile(msgspec.Struct, frozen=True):
    """A file that lies among others of the system, and of which there are several versions.

    Attributes:
        path: Its path in its component.
        seals: The inode numbers of known versions, and the seals of their trees.
        other: The seal of what has another inode number.
        image_seals: The same as ``seals`` for versions that are merged as an image. These numbers
            are small, so a file of the base may have the same: they count only on another device
            than the base's.
        base_device: The device of the base, as memory maps write it.
    """

    path: str
    seals: Mapping[int, str]
    other: str
    image_seals: Mapping[int, str] = msgspec.field(default_factory=dict)
    base_device: str = ""

    def seal_of(self, device: str, inode: int) -> str | None:
        """Return the seal of the version with that inode number; None if it is not known."""
        if device != self.base_device and inode in self.image_seals:
            return self.image_seals[inode]
        return self.seals.get(inode)


class Traces(msgspec.Struct, frozen=True):
    """How to recognise files of components.

    Attributes:
        adopted: Folders that trees were adopted from, with the seals of the trees. The folders are
            gone, but programs that started before still run from them.
        shared: Files of the system, by their path. They count only if they are mapped.
    """

    adopted: Mapping[str, str] = msgspec.field(default_factory=dict)
    shared: Mapping[str, SharedFile] = msgspec.field(default_factory=dict)

    def __or__(self, other: Traces) -> Traces:
        return Traces({**self.adopted, **other.adopted}, {**self.shared, **other.shared})
