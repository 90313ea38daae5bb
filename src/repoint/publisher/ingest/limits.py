"""How much a source may hold before it is taken for an attack."""

from __future__ import annotations

from dataclasses import dataclass

from repoint.publisher.ingest.errors import UnfitSourceError


@dataclass(frozen=True)
class Limits:
    """The largest tree that a source may become.

    Attributes:
        total: Bytes of all files together; a hard link counts like the file it names, because
            a layer carries both.
        entries: Number of paths, folders that are only implied included.
    """

    total: int = 64 << 30
    entries: int = 2_000_000


class Budget:
    """What is left of the limits while a source is unpacked."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._total = 0
        self._entries = 0

    def spend_entry(self) -> None:
        """Count one path.

        Raises:
            UnfitSourceError: It is one too many.
        """
        self._entries += 1
        if self._entries > self._limits.entries:
            raise UnfitSourceError(
                f"It holds more than {self._limits.entries:,} paths",
                hint="Split the component into smaller ones",
            )

    def spend_bytes(self, count: int) -> None:
        """Count ``count`` bytes, best before they are written.

        Raises:
            UnfitSourceError: They are more than what is left.
        """
        self._total += count
        if self._total > self._limits.total:
            raise UnfitSourceError(
                f"It unpacks to more than {self._limits.total:,} bytes",
                hint="Split the component into smaller ones",
            )
