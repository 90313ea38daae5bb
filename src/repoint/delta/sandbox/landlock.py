"""Landlock: the process can no longer open, create or remove files, use TCP, or signal others.

Open files stay usable. The constants are those of `linux/landlock.h`; they are spelled out because
a system's copy may be older than its kernel.
"""

from __future__ import annotations

import ctypes
import os

from repoint.delta.sandbox.kernel import syscall

# These numbers are the same on every architecture.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1

_FILE_SYSTEM = {1: 13, 2: 14, 3: 15, 5: 16}
"""ABI -> number of access rights to files from that ABI on (refer, truncate, device ioctl)."""
_NETWORK = {4: 2}
"""ABI -> number of access rights to TCP: bind and connect."""
_SCOPES = {6: 2}
"""ABI -> number of scopes: abstract Unix sockets and signals."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def restrict() -> int:
    """Deny this thread and its future children everything that Landlock can deny.

    Requires `no_new_privs` or privileges.

    Returns:
        The kernel's ABI version; 0 if it has no Landlock and nothing is restricted.
    """
    try:
        abi = syscall(_CREATE_RULESET, None, 0, _VERSION)
        ruleset = _Ruleset(_all(_FILE_SYSTEM, abi), _all(_NETWORK, abi), _all(_SCOPES, abi))
        # An older kernel accepts a longer structure if the fields that it does not know are zero.
        fd = syscall(_CREATE_RULESET, ctypes.byref(ruleset), ctypes.sizeof(ruleset), 0)
    except OSError:
        return 0
    try:
        syscall(_RESTRICT_SELF, fd, 0)
    except OSError:
        return 0
    finally:
        os.close(fd)
    return abi


def _all(counts: dict[int, int], abi: int) -> int:
    """Return all bits that this ABI defines."""
    return (1 << max((count for since, count in counts.items() if since <= abi), default=0)) - 1
