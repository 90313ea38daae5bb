"""A mount namespace for a test: what the test mounts, nobody else sees, and it ends with the test."""

from __future__ import annotations

import contextlib
import ctypes
import os
import subprocess
import time
from collections.abc import Iterator

import pytest

_CLONE_NEWNS = 0x00020000  # linux/sched.h


@contextlib.contextmanager
def private_mounts() -> Iterator[None]:
    """Move this thread to a new mount namespace until the end of the block.

    A test without the rights to do so is skipped.
    """
    if os.geteuid() != 0:
        pytest.skip("needs root")
    libc = ctypes.CDLL(None, use_errno=True)
    outside = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY)
    folder = os.open(".", os.O_PATH)
    try:
        if libc.unshare(_CLONE_NEWNS) != 0:
            pytest.skip("needs the right to create a mount namespace")
        try:
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            yield
        finally:
            # The kernel refuses while a thread that the test started is still ending.
            for _ in range(100):
                result = libc.setns(outside, _CLONE_NEWNS)
                if result == 0:
                    break
                time.sleep(0.05)
            assert result == 0, os.strerror(ctypes.get_errno())
            os.fchdir(folder)  # setns changes to the root folder of the namespace
    finally:
        os.close(folder)
        os.close(outside)
