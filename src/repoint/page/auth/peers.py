"""Whose program is at the other end of a connection on this machine.

Other accounts of the machine can reach a loopback address as well. They could read the one-time
link from the list of processes while it is handed to the browser, and a browser sends its cookies
to every port of an address. The kernel knows whom a socket belongs to, so we ask it.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_TABLE = Path("/proc/self/net/tcp")
_TIME_WAIT = "06"

Address = tuple[str, int]
"""An IPv4 address and a port."""


def uid_behind(peer: Address, own: Address, *, table: Path = _TABLE) -> int | None:
    """The account that holds the other end of a TCP connection over loopback.

    Args:
        peer: The other end.
        own: Our end.
        table: The kernel's list of connections (man 5 proc, ``/proc/net/tcp``).

    Returns:
        Its number, or nothing where the kernel does not know such a connection.
    """
    theirs, ours = _written(peer), _written(own)
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        # What is in TIME_WAIT belongs to nobody any more, and the table then says 0.
        if fields[1] == theirs and fields[2] == ours and fields[3] != _TIME_WAIT:
            return int(fields[7])
    return None


def uid_of_client(connection: socket.socket) -> int:
    """The account of the process that connected to a Unix socket (man 7 unix, SO_PEERCRED)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, size))  # fmt: skip
    return int(uid)


def _written(address: Address) -> str:
    # The kernel prints the address as one number in the order of the machine.
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
