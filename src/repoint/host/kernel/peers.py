"""The account at the other end of a connection on this machine.

Other accounts of the machine can also connect to a loopback address. The kernel knows the owner of
each socket, but only while a process holds it: of a socket that was closed, it reports account 0.
So an account is reported only if both ends of the connection are open.
"""

from __future__ import annotations

import socket
import struct

from repoint.host.kernel.socket_table import (
    ESTABLISHED,
    Address,
    SocketRecord,
    ask_kernel,
    read_tables,
)


def uid_of_peer(connection: socket.socket) -> int | None:
    """Return the account that owns the other end of a TCP connection over loopback.

    Args:
        connection: This end, as it was accepted.

    Returns:
        The account's number. None unless the kernel knows an open socket at the other end.
    """
    try:
        record = _record(connection.getpeername(), connection.getsockname())
        # This comes last. An address and port can be used again once a connection has ended, so
        # the record counts only if this connection had not ended when it was read.
        open_here = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == ESTABLISHED
    except OSError:
        return None
    return owner(record) if open_here else None


def owner(record: SocketRecord | None) -> int | None:
    """Return the account that owns a socket. None if that is not certain."""
    # A socket that no process holds has no inode, whatever account the kernel reports for it.
    if record is None or record.state != ESTABLISHED or not record.inode:
        return None
    return record.uid


def uid_of_client(connection: socket.socket) -> int:
    """Return the account of the process that connected to a Unix socket (man 7 unix)."""
    size = struct.calcsize("3i")
    _, uid, _ = struct.unpack("3i", connection.getsockopt(
        socket.SOL_SOCKET, socket.SO_PEERCRED, size))  # fmt: skip
    return int(uid)


def _record(peer: Address, own: Address) -> SocketRecord | None:
    try:
        record = ask_kernel(peer, own)
        # A kernel without this interface may also say that there is no socket. Then it does not
        # know this end either.
        if record is not None or ask_kernel(own, peer) is not None:
            return record
    except OSError:
        pass
    return read_tables(peer, own)
