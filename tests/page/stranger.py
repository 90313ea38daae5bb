"""Another account of the machine, as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

STRANGER = 1234

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can act as another account")

PRELUDE = f"""
import os, socket, struct, sys, time
os.setgroups([]); os.setgid({STRANGER}); os.setuid({STRANGER})
port, request = int(sys.argv[1]), sys.stdin.buffer.read()
def connect(family=socket.AF_INET, address="127.0.0.1", source=None):
    k = socket.socket(family)
    k.settimeout(5)
    if source: k.bind(source)
    k.connect((address, port))
    return k
def abort(k):
    k.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    k.close()
def answer(k):
    got = b""
    try:
        while chunk := k.recv(65536): got += chunk
    except OSError: pass
    print(got.decode("latin-1"))
"""


@contextmanager
def stranger_holds(port: int, script: str) -> Iterator[None]:
    """Another account holds connections until the end of the block."""
    command = [sys.executable, "-I", "-c", PRELUDE + script + "\nprint('ready', flush=True)\n"
               "time.sleep(60)", str(port)]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            assert process.stdout.readline() == b"ready\n"
            yield
        finally:
            process.kill()
