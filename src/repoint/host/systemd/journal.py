"""Entries in the system journal, with fields that people can search for.

The native protocol is one datagram of lines (systemd's "Native Journal Protocol"). Its Python
bindings need a compiler on every device, which is more than those lines are worth.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from repoint.model.printable import one_line

SOCKET = Path("/run/systemd/journal/socket")

Event = Literal["available", "staged", "activated", "announced", "failed", "policy", "guard"]

MESSAGE_IDS: dict[Event, str] = {
    "available": "c9f1a3b06c5f4a4e9d6f0a7c2b8e5d11",
    "staged": "5b0e6d1f7f3243f0a9f3c1d2e4b7a822",
    "activated": "e2d47c5a90b14b6f8c3a5d7e1f609b33",
    "announced": "71c8b2e4d6f04a1c9e5b3d7f2a8c0e44",
    "failed": "a4f6e8d0c2b34957b1d3f5a7c9e10b55",
    "policy": "0d9c8b7a6f5e4d3c8b2a190f8e7d6c66",
    "guard": "4b7e1d92a05c4c8fb36d8e0f2a917c77",
}
"""``journalctl MESSAGE_ID=…`` finds all entries of one kind."""

# syslog(3)
WARNING, NOTICE = 4, 5

Fields = Iterable[tuple[str, str]]


class Journal:
    """A system journal.

    Args:
        socket: Its native socket.
    """

    def __init__(self, socket: Path = SOCKET) -> None:
        self._socket = socket

    def log(self, event: Event, message: str, priority: int, fields: Fields) -> bool:
        """Write an entry.

        Args:
            event: What happened.
            message: One sentence for people.
            priority: The level, as syslog(3) numbers it.
            fields: Names without ``REPOINT_`` and their values; a name may come more than once.

        Returns:
            False if there is no journal, or it does not accept the entry.
        """
        import socket  # most commands log nothing

        entry = [
            ("MESSAGE", message),
            ("MESSAGE_ID", MESSAGE_IDS[event]),
            ("PRIORITY", str(priority)),
            ("SYSLOG_IDENTIFIER", "repoint"),
            ("REPOINT_EVENT", event),
            *((f"REPOINT_{name}", value) for name, value in fields if value),
        ]
        # A line break would start a field: text from a repository must not contain one.
        lines = (f"{name}={one_line(value)}\n" for name, value in entry)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as journal:
            journal.settimeout(1.0)
            try:
                journal.sendto("".join(lines).encode(errors="replace"), str(self._socket))
            except OSError:
                return False
        return True
