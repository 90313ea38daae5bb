"""The records of launches: which process was started with which trees.

A launched program holds its trees by a lock that it inherits. Some programs close all descriptors
that they inherit; then the record still keeps the trees. Only the store's owner writes records. For
programs of other accounts, the variables that the launcher sets say the same.

`repoint launch` imports this file, so it imports little.
"""

from __future__ import annotations

import contextlib
import os

from repoint.host.kernel.start_time import own_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


def launches_folder(store: str) -> str:
    """Return the folder of the records. A record is named after the process and its start."""
    return f"{store}/launches"


def record_launch(trees: Sequence[str]) -> None:
    """Record that this process, which becomes the program, holds trees of one store.

    The program must start even if the record cannot be written.
    """
    store = os.path.dirname(os.path.dirname(trees[0])) if trees else ""
    if not store or not os.access(store, os.W_OK):
        return
    with contextlib.suppress(OSError):
        with contextlib.suppress(FileExistsError):
            os.mkdir(launches_folder(store), 0o755)
        path = f"{launches_folder(store)}/{_name(os.getpid(), own_start())}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o644)
        try:
            os.write(descriptor, "\n".join(map(os.path.basename, trees)).encode())
        finally:
            os.close(descriptor)


def recorded_seals(store: str, pid: int, started: int) -> set[str]:
    """Return the seals of the trees that a process was started with; empty without a record.

    Args:
        store: The store.
        pid: The process.
        started: When it started, in clock ticks since the boot.
    """
    try:
        with open(f"{launches_folder(store)}/{_name(pid, started)}", encoding="ascii") as file:
            return set(file.read().split())
    except (OSError, UnicodeDecodeError):
        return set()


def clear_launches(store: str, is_running: Callable[[int, int], bool]) -> None:
    """Remove the records of processes that have ended.

    Args:
        store: The store.
        is_running: Whether the process with a pid and a start runs.
    """
    folder = launches_folder(store)
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            pid, _, started = name.partition("-")
            known = pid.isdecimal() and started.isdecimal()
            if not known or not is_running(int(pid), int(started)):
                os.unlink(f"{folder}/{name}")


def _name(pid: int, started: int) -> str:
    return f"{pid}-{started}"
