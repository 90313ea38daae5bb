"""The account at the other end of a connection on this machine.

Other accounts of the machine can also connect to a loopback address. They could read the one-time
link in the process list while it is passed to the browser, and a browser sends its cookies to
every port of an address. The kernel knows the owner of each socket.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_TABLE = Path("/proc/self/net/tcp")
_TIME_WAIT = "06"

Address = tuple[str, int]
"""An IPv4 address and a port."""


def uid_of_peer(peer: Address, own: Address, *, table: Path = _TABLE) -> int | None:
    """Return the account that owns the other end of a TCP connection over loopback.

    Args:
        peer: The address of the other end.
        own: The address of this end.
        table: The kernel's list of connections (man 5 proc, ``/proc/net/tcp``).

    Returns:
        The account's number. None if the kernel does not know the connection.
    """
    remote, local = _kernel_format(peer), _kernel_format(own)
    try:
        lines = table.read_text().splitlines()[1:]
    except OSError:
        return None
    for line in lines:
        fields = line.split()
        # A socket in TIME_WAIT has no owner, and the table shows 0 for it.
        if fields[1] == remote and fields[2] == local and fields[3] != _TIME_WAIT:
            return int(fields[7])
    return None


def uid_of_client(connection: socket.socket) -> int:
    """Return the account of the process that connected to a Unix socket (man 7 unix)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, size))  # fmt: skip
    return int(uid)


def _kernel_format(address: Address) -> str:
    # The kernel prints the address as one number in the machine's byte order.
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"
