"""seccomp: only system calls that computing on open files needs are allowed; all others fail.

The list is what CPython, the allocator, threads and the decoders use once everything is imported
and opened. Other calls fail with EPERM instead of killing the process, because libraries make calls
that they can do without, such as asking for the number of processors.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from repoint.delta.sandbox.kernel import machine, syscall

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_COLUMN = {"x86_64": 0, "aarch64": 1}
_SECCOMP = (317, 277)
_SET_MODE_FILTER = 1
_FLAG_TSYNC = 1

_ALLOWED = {
    "read": (0, 63),
    "write": (1, 64),
    "readv": (19, 65),
    "writev": (20, 66),
    "pread64": (17, 67),
    "close": (3, 57),
    "fstat": (5, 80),
    "newfstatat": (262, 79),
    "lseek": (8, 62),
    "munmap": (11, 215),
    "mremap": (25, 216),
    "msync": (26, 227),
    "madvise": (28, 233),
    "brk": (12, 214),
    "fsync": (74, 82),
    "fdatasync": (75, 83),
    "futex": (202, 98),
    "membarrier": (324, 283),
    "set_robust_list": (273, 99),
    "rseq": (334, 293),
    "rt_sigaction": (13, 134),
    "rt_sigprocmask": (14, 135),
    "rt_sigreturn": (15, 139),
    "sigaltstack": (131, 132),
    "sched_yield": (24, 124),
    "sched_getaffinity": (204, 123),
    "getpid": (39, 172),
    "gettid": (186, 178),
    "getrandom": (318, 278),
    "getrusage": (98, 165),
    "gettimeofday": (96, 169),
    "clock_gettime": (228, 113),
    "clock_getres": (229, 114),
    "clock_nanosleep": (230, 115),
    "nanosleep": (35, 101),
    "restart_syscall": (219, 128),
    "exit": (60, 93),
    "exit_group": (231, 94),
}
_MMAP, _MPROTECT = (9, 222), (10, 226)
_CLONE, _CLONE3 = (56, 220), (435, 435)
_TGKILL = (234, 131)
_FCNTL = (72, 25)

_PROT_EXEC = 4
_CLONE_THREAD = 0x10000
_F_DUPFD_CLOEXEC = 1030

# Classic BPF over `struct seccomp_data`.
_LOAD, _EQUAL, _ANY_BIT, _RETURN = 0x20, 0x15, 0x45, 0x06
_AT_NUMBER, _AT_ARCH, _AT_ARGUMENTS = 0, 4, 16
_KILL, _ALLOW, _ERRNO = 0x80000000, 0x7FFF0000, 0x00050000
_DENY = _ERRNO | errno.EPERM


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def restrict() -> bool:
    """Restrict all threads of this process. Requires `no_new_privs` or privileges.

    Returns:
        True if the filter is in force; False on machines other than x86-64 and AArch64, and on a
        kernel without filters.
    """
    if machine() not in _AUDIT_ARCH:
        return False
    code = program(machine(), os.getpid())
    filter_ = _Program(len(code) // 8, code)
    number = _SECCOMP[_COLUMN[machine()]]
    try:
        return syscall(number, _SET_MODE_FILTER, _FLAG_TSYNC, ctypes.byref(filter_)) == 0
    except OSError:
        return False


def program(arch: str, pid: int) -> bytes:
    """Return the filter for the process `pid` on a machine, as BPF instructions of 8 bytes.

    Calls through another architecture's table kill the process; those of x32 are not allowed.
    """
    column = _COLUMN[arch]
    code = [
        _step(_LOAD, _AT_ARCH),
        _step(_EQUAL, _AUDIT_ARCH[arch], then=1),
        _step(_RETURN, _KILL),
        _step(_LOAD, _AT_NUMBER),
    ]
    for numbers in _ALLOWED.values():
        code += _when(numbers[column], [_step(_RETURN, _ALLOW)])
    # Memory never becomes executable: all code is loaded before.
    for numbers in (_MMAP, _MPROTECT):
        code += _when(numbers[column], _test(2, _ANY_BIT, _PROT_EXEC, _DENY, _ALLOW))
    # Threads but no processes. A filter cannot see the flags of clone3; glibc falls back to clone.
    code += _when(_CLONE[column], _test(0, _ANY_BIT, _CLONE_THREAD, _ALLOW, _DENY))
    code += _when(_CLONE3[column], [_step(_RETURN, _ERRNO | errno.ENOSYS)])
    code += _when(_TGKILL[column], _test(0, _EQUAL, pid, _ALLOW, _DENY))
    code += _when(_FCNTL[column], _test(1, _EQUAL, _F_DUPFD_CLOEXEC, _ALLOW, _DENY))
    code.append(_step(_RETURN, _DENY))
    return b"".join(code)


def _step(operation: int, value: int, *, then: int = 0, otherwise: int = 0) -> bytes:
    """Return one instruction; `then` and `otherwise` are how many to skip after a comparison."""
    return struct.pack("<HBBI", operation, then, otherwise, value)


def _when(number: int, then: list[bytes]) -> list[bytes]:
    """Return instructions that run `then` for one system call."""
    return [_step(_EQUAL, number, otherwise=len(then)), *then]


def _test(argument: int, operation: int, value: int, yes: int, no: int) -> list[bytes]:
    """Return a test of the low half of a call's argument; both machines are little-endian."""
    return [
        _step(_LOAD, _AT_ARGUMENTS + 8 * argument),
        _step(operation, value, otherwise=1),
        _step(_RETURN, yes),
        _step(_RETURN, no),
    ]
