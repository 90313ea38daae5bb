"""System calls that Python does not wrap."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

_LIBC = ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """Return the kernel's name of this machine's architecture; "" for a 32-bit process."""
    return platform.machine() if ctypes.sizeof(ctypes.c_void_p) == 8 else ""


def syscall(number: int, *arguments: Any) -> int:
    """Make a system call by its number and return its result.

    Raises:
        OSError: The call failed.
    """
    words = [_word(each) for each in arguments]
    _LIBC.syscall.restype = ctypes.c_long
    return _checked(_LIBC.syscall(ctypes.c_long(number), *words))


def prctl(option: int, *arguments: int) -> int:
    """Call `prctl` with zeros for missing arguments.

    Raises:
        OSError: The call failed.
    """
    words = [ctypes.c_ulong(each) for each in (*arguments, 0, 0, 0, 0)[:4]]
    return _checked(_LIBC.prctl(ctypes.c_int(option), *words))


def _word(value: Any) -> Any:
    return ctypes.c_long(value) if isinstance(value, int) else value


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result
