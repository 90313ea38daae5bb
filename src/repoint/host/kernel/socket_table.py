"""The kernel's record of one TCP socket: who owns it, and whether it is still open.

The kernel answers a question about one connection at once (man 7 sock_diag). Kernels without that
interface have a table (man 5 proc, ``/proc/net/tcp``), which takes them milliseconds to write.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
from pathlib import Path
from typing import NamedTuple

TABLES = (Path("/proc/self/net/tcp"), Path("/proc/self/net/tcp6"))
"""Programs may reach an IPv4 address by IPv6."""

ESTABLISHED = 1
"""The state of a socket that neither end has closed."""

Address = tuple[str, int]
"""An IPv4 address and a port."""

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLMSG_ERROR = 2
_NLM_F_REQUEST = 1
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBBI")
_ID = struct.Struct("!HH16s16s12s")
_ANSWER = struct.Struct("=BBBB48sIIIII")
_ANY = b"\0\0\0\0" + b"\xff" * 8
"""Any interface, and a socket whose cookie is not known."""


class SocketRecord(NamedTuple):
    """What the kernel records about a socket.

    Attributes:
        state: Its state.
        uid: The account of the process that created it; 0 if no process holds it.
        inode: Its inode; 0 if no process holds it.
    """

    state: int
    uid: int
    inode: int


def ask_kernel(local: Address, remote: Address) -> SocketRecord | None:
    """Return the record of the socket between two addresses. None if there is none.

    Raises:
        OSError: This kernel does not answer such questions.
    """
    key = _ID.pack(
        local[1], remote[1], socket.inet_aton(local[0]), socket.inet_aton(remote[0]), _ANY
    )
    request = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 0, 0, 0xFFFFFFFF) + key
    header = _HEADER.pack(_HEADER.size + len(request), _SOCK_DIAG_BY_FAMILY, _NLM_F_REQUEST, 0, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG) as kernel:
        kernel.settimeout(1)
        kernel.sendto(header + request, (0, 0))
        answer = kernel.recv(4096)
    kind, body = _HEADER.unpack_from(answer)[1], answer[_HEADER.size :]
    if kind == _NLMSG_ERROR:
        (number,) = struct.unpack_from("=i", body)
        if -number == errno.ENOENT:
            return None
        raise OSError(-number, os.strerror(-number))
    record = _ANSWER.unpack_from(body)
    return SocketRecord(record[1], record[8], record[9])


def read_tables(
    local: Address, remote: Address, tables: tuple[Path, ...] = TABLES
) -> SocketRecord | None:
    """Return the record of the socket between two addresses. None unless there is exactly one."""
    wanted = {
        (prefix + _kernel_format(local), prefix + _kernel_format(remote))
        for prefix in ("", _mapped())
    }
    found = set()
    for table in tables:
        with contextlib.suppress(FileNotFoundError):  # the kernel may have no IPv6
            for line in table.read_text().splitlines()[1:]:
                fields = line.split()
                if (fields[1], fields[2]) in wanted:
                    found.add(SocketRecord(int(fields[3], 16), int(fields[7]), int(fields[9])))
    return found.pop() if len(found) == 1 else None


def _kernel_format(address: Address) -> str:
    # The kernel prints the address as one number in the machine's byte order.
    (number,) = struct.unpack("=I", socket.inet_aton(address[0]))
    return f"{number:08X}:{address[1]:04X}"


def _mapped() -> str:
    """Return how the table of IPv6 begins an IPv4 address (RFC 4291, section 2.5.5.2)."""
    words = struct.unpack("=3I", socket.inet_pton(socket.AF_INET6, "::ffff:0:0")[:12])
    return "".join(f"{word:08X}" for word in words)
