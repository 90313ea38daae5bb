"""When a process started. `repoint launch` imports this file, so it imports nothing more."""

from __future__ import annotations

import os


def own_start(proc: str = "/proc") -> int:
    """Return when this process started, in clock ticks since the boot (proc_pid_stat(5)).

    Raises:
        OSError: There is no proc file system.
    """
    with open(f"{proc}/{os.getpid()}/stat", "rb") as file:
        # The second field, the program's name in parentheses, may itself hold spaces.
        return int(file.read().rpartition(b")")[2].split()[19])
