"""Landlock: no file is opened, made or removed any more, no TCP, no signals to others.

What is open already stays usable. The constants are those of the kernel's `linux/landlock.h`,
of which systems have older copies than kernels, hence by number.
"""

from __future__ import annotations

import ctypes
import os

from repoint.delta.sandbox.kernel import syscall

# The same numbers on every architecture.
_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1

_FILE_SYSTEM = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many access rights to files there are, from which ABI on (refer, truncate, device ioctl)."""
_NETWORK = {4: 2}
"""Likewise to TCP: bind and connect."""
_SCOPES = {6: 2}
"""Likewise what stays within the domain: abstract Unix sockets and signals."""


class _Ruleset(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


def restrict() -> int:
    """Deny this thread, and what it starts, all that Landlock can deny.

    Needs `no_new_privs`, or privileges.

    Returns:
        The ABI that the kernel offers; 0 where it offers none and nothing was restricted.
    """
    try:
        abi = syscall(_CREATE_RULESET, None, 0, _VERSION)
        ruleset = _Ruleset(_all(_FILE_SYSTEM, abi), _all(_NETWORK, abi), _all(_SCOPES, abi))
        # An older kernel refuses a longer structure only where what it does not know is not zero.
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
    """All the bits that this ABI knows."""
    return (1 << max((count for since, count in counts.items() if since <= abi), default=0)) - 1
