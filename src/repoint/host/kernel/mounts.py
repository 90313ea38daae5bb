"""The mount table: what is mounted where, as this process sees it."""

from __future__ import annotations

import re
from pathlib import Path

_ESCAPE = re.compile(rb"\\([0-7]{3})")
"""The kernel writes blanks and backslashes in paths as octal numbers (proc_pid_mountinfo(5))."""


class Mounts:
    """The mount table of this process.

    Args:
        table: The kernel's file. That of the thread: each thread may have a namespace of its own.
    """

    def __init__(self, table: Path = Path("/proc/thread-self/mountinfo")) -> None:
        self._table = table

    def at_or_below(self, path: Path) -> list[Path]:
        """Return the mount points at a path and below it, in their order in the table.

        If the table cannot be read, there are none.

        Args:
            path: An absolute path without links.
        """
        try:
            lines = self._table.read_bytes().splitlines()
        except OSError:
            return []
        points = (Path(_unescaped(line.split()[4])) for line in lines)
        return [point for point in points if point.is_relative_to(path)]


def _unescaped(field: bytes) -> str:
    plain = _ESCAPE.sub(lambda match: bytes([int(match[1], 8)]), field)
    return plain.decode(errors="surrogateescape")
