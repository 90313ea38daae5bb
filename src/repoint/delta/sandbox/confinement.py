"""Dropping everything from the current process that decoding does not need, irrevocably."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from pathlib import Path

import msgspec

from repoint.delta.sandbox import landlock, seccomp
from repoint.delta.sandbox.kernel import machine, prctl, syscall

_PR_SET_PDEATHSIG = 1
_PR_CAPBSET_DROP = 24
_PR_SET_NO_NEW_PRIVS = 38
_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL = 47, 4
_CAPSET = {"x86_64": 126, "aarch64": 91}
_CAPABILITY_VERSION_3 = 0x20080522
_MOST_CAPABILITIES = 64


class ResourceLimits(msgspec.Struct, frozen=True):
    """What a confined process may use.

    Attributes:
        memory: Bytes of address space beyond the current size.
        file: Size in bytes of the largest file that it may write.
        seconds: Seconds of processor time.
        files: Open files.
    """

    memory: int
    file: int
    seconds: int
    files: int


class Confinement(msgspec.Struct, frozen=True):
    """Which layers of the confinement the kernel offers.

    Attributes:
        landlock: The Landlock ABI in force; 0 for none.
        seccomp: True if the filter of system calls is in force.
        unprivileged: True if all capabilities are dropped and none can be gained.
    """

    landlock: int
    seccomp: bool
    unprivileged: bool


def die_with_parent(parent: int) -> None:
    """Request SIGKILL for this process when the thread of `parent` that started it ends."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    # The parent may have ended before the signal was requested.
    if os.getppid() != parent:
        os.kill(os.getpid(), signal.SIGKILL)


def confine(limits: ResourceLimits) -> Confinement:
    """Confine this process: no opening of files, no network, no new processes, no privileges.

    Open files stay usable, so everything needed must be open, and every module imported. A layer
    that the kernel lacks is skipped and reported as missing; each layer alone prevents the opening
    of files. Call it while there is only one thread, because Landlock binds the calling thread.
    """
    set_limits(limits)
    unprivileged = _drop_privileges()
    abi = landlock.restrict()
    return Confinement(abi, seccomp.restrict(), unprivileged)


def set_limits(limits: ResourceLimits) -> None:
    """Limit memory, file size, processor time and open files; disable core dumps."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    memory = pages * resource.getpagesize() + limits.memory
    for kind, value in (
        (resource.RLIMIT_AS, memory),
        (resource.RLIMIT_FSIZE, limits.file),
        (resource.RLIMIT_CPU, limits.seconds),
        (resource.RLIMIT_NOFILE, limits.files),
        (resource.RLIMIT_CORE, 0),
    ):
        bound_resource(kind, value)


def bound_resource(kind: int, value: int) -> None:
    """Set a hard limit, unless a lower one is already set."""
    _, hard = resource.getrlimit(kind)
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))


def _drop_privileges() -> bool:
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    try:
        prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL)
        for capability in range(_MOST_CAPABILITIES):
            prctl(_PR_CAPBSET_DROP, capability)
    except OSError:
        # Past the last capability, or not permitted; `capset` below is what counts.
        pass
    number = _CAPSET.get(machine())
    if number is None:
        return False
    # struct __user_cap_header_struct, and three sets of 64 bits, all empty.
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    try:
        syscall(number, header, (ctypes.c_uint32 * 6)())
    except OSError:
        return False
    return True
