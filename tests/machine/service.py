"""Runs in the machine: a service that uses a library and reports when it is ready."""

import ctypes
import os
import socket
import time

codec = ctypes.CDLL("/usr/lib/acme/libcodec.so")
print("codec", codec.version(), flush=True)
with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notified:
    notified.sendto(b"READY=1", os.environ["NOTIFY_SOCKET"].replace("@", "\0"))
time.sleep(1_000_000)
