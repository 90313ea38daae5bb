"""The writes to a disk, in order, and the possible contents of the disk after a power cut.

The log has the format of the kernel's dm-log-writes (Documentation/admin-guide/device-mapper/
log-writes.rst), which QEMU's block driver ``blklogwrites`` writes. One sector describes the log. Then
follow, for each write, a sector with its position, and its data. QEMU records a write when it is
complete, and a flush when all earlier writes are on the disk.
"""

from __future__ import annotations

import hashlib
import os
import random
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

SECTOR = 512
_ENTRY = struct.Struct("<QQQQ")
_FLUSH, _DISCARD = 1, 4

Kind = Literal["all of it", "a beginning", "some writes", "some blocks", "some sectors"]
KINDS: tuple[Kind, ...] = (
    "all of it", "a beginning", "some writes", "some blocks", "some sectors"
)  # fmt: skip
"""What of the writes since the last flush the disk keeps."""

_SIZES: dict[Kind, int] = {"some blocks": 4096, "some sectors": SECTOR}
_SUPERBLOCK = 1024
"""ext4 keeps one structure that its journal does not protect before the mount: its superblock, at
this place and of this size. It is written whole or not at all."""


class Write(NamedTuple):
    """A write to the disk, or a flush: its position, its length, and the position of its data in the log."""

    offset: int
    size: int
    data: int
    flush: bool


class WriteLog:
    """A log that may still grow.

    Attributes:
        writes: The writes that were read so far.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.writes: list[Write] = []
        self._next = SECTOR

    def read(self) -> int:
        """Read new entries, and return the number of all entries."""
        with self.path.open("rb") as file:
            while True:
                file.seek(self._next)
                header = file.read(_ENTRY.size)
                if len(header) < _ENTRY.size:
                    break
                sector, sectors, flags, _ = _ENTRY.unpack(header)
                if not sectors and not flags:
                    break
                data = self._next + SECTOR
                discarded = bool(flags & _DISCARD)
                size = 0 if discarded else sectors * SECTOR
                self.writes.append(Write(sector * SECTOR, size, data, bool(flags & _FLUSH)))
                self._next = data + size
        return len(self.writes)


class State(NamedTuple):
    """The content of a disk after a power cut: all of the first writes, and pieces of later ones."""

    whole: int
    pieces: tuple[Write, ...]

    @property
    def disk(self) -> str:
        """The name of the disk; equal disks have equal names."""
        text = f"{self.whole} {[(piece.offset, piece.data, piece.size) for piece in self.pieces]}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def cut(writes: Sequence[Write], instant: int, kind: Kind, chance: random.Random) -> State:
    """Return a possible state of a disk if the power fails after a number of writes.

    Args:
        writes: All writes.
        instant: The number of recorded writes.
        kind: What is kept of the writes without a later flush.
        chance: The source of random choices.
    """
    whole = next((n for n in range(instant, 0, -1) if writes[n - 1].flush), 0)
    loose = list(writes[whole:instant])
    if kind == "a beginning" and loose:
        loose = loose[: chance.randrange(len(loose)) + 1]
        last = loose.pop()
        kept = chance.randrange(last.size // SECTOR + 1) * SECTOR
        loose += [piece for piece in _pieces(last, SECTOR) if piece.data < last.data + kept]
    elif kind == "some writes":
        loose = [write for write in loose if chance.random() < 0.5]
    elif kind in _SIZES:
        loose = [
            piece
            for write in loose
            for piece in _pieces(write, _SIZES[kind])
            if chance.random() < 0.5
        ]
    return State(whole, tuple(loose))


def apply(log: Path, disk: Path, writes: Sequence[Write]) -> None:
    """Repeat writes on another disk."""
    source = os.open(log, os.O_RDONLY)
    target = os.open(disk, os.O_WRONLY)
    try:
        for write in writes:
            if write.size:
                os.pwrite(target, os.pread(source, write.size, write.data), write.offset)
    finally:
        os.close(source)
        os.close(target)


def _pieces(write: Write, size: int) -> Iterator[Write]:
    """Split a write into pieces that a disk keeps or loses separately."""
    at = write.offset
    end = write.offset + write.size
    while at < end:
        stop = min(end, at - at % size + size)
        if at <= _SUPERBLOCK < stop:
            stop = min(end, max(stop, 2 * _SUPERBLOCK))
        yield Write(at, stop - at, write.data + at - write.offset, False)
        at = stop
