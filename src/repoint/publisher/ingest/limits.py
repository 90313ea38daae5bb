"""Limits on the size of a source, against attacks."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.publisher.ingest.errors import UnfitSourceError


@dataclass(frozen=True)
class Limits:
    """The largest tree that a source may unpack to.

    Attributes:
        total: Bytes of all files; a hard link counts like its file, because a layer contains both.
        entries: Number of paths, including implied folders.
    """

    total: int = 64 << 30
    entries: int = 2_000_000


class Budget:
    """The part of the limits that is used while a source is unpacked."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0
        self._entries = 0

    def spend_entry(self) -> None:
        """Count one path.

        Raises:
            UnfitSourceError: The limit is exceeded.
        """
        self._entries += 1
        if self._entries > self._limits.entries:
            raise UnfitSourceError(
                f"It contains more than {self._limits.entries:,} paths",
                hint="Split the component into smaller ones",
            )

    def spend_bytes(self, count: int) -> None:
        """Count ``count`` bytes, if possible before they are written.

        Raises:
            UnfitSourceError: The limit is exceeded.
        """
        self._total += count
        if self._total > self._limits.total:
            raise UnfitSourceError(
                f"It unpacks to more than {self._limits.total:,} bytes",
                hint="Split the component into smaller ones",
            )
