"""The messages between a parent and its decoding child."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from repoint.delta.sandbox.confinement import Confinement

if TYPE_CHECKING:
    from repoint.model.tree import Change  # the confined child needs no records


class DecodeJob(msgspec.Struct, frozen=True):
    """One file to decode.

    Attributes:
        name: Its name in the patch.
        source: The old file that the patch's entry needs; None if it needs none.
        size: Its expected length in bytes.
        sha256: Its expected SHA-256, in lower-case hexadecimal digits.
    """

    name: str
    source: Path | None
    size: int
    sha256: str

    @classmethod
    def for_change(cls, change: Change, old: Path) -> DecodeJob:
        """Return the job for a changed file of a layer.

        Args:
            change: The change.
            old: The folder with the old files.
        """
        source = old / change.source if change.source else None
        return cls(change.entry.path, source, change.entry.size, change.entry.sha256)


class DecodeOrder(msgspec.Struct, frozen=True):
    """The parent's request: decode job i to the file `out_dir/str(first + i)`.

    Attributes:
        patch: The patch file.
        out_dir: The folder for the output.
        first: The number of the first job.
        jobs: The jobs.
        seconds: Processor time allowed.
        parent: Process id of the parent; the child dies with it.
    """

    patch: Path
    out_dir: Path
    first: int
    jobs: tuple[DecodeJob, ...]
    seconds: int
    parent: int


class DecodeReport(msgspec.Struct, frozen=True):
    """One line from the child.

    Attributes:
        done: Bytes decoded so far.
        confinement: Set in the last line of a child that decoded everything.
        error: Set in the last line of a child that failed.
        about_patch: True if the error is the patch's fault.
    """

    done: int = 0
    confinement: Confinement | None = None
    error: str = ""
    about_patch: bool = False
