#!/usr/bin/python3
"""Runs in the machine: executes commands that arrive as lines on its second serial port."""

import json
import os
import subprocess
import tty

port = os.open("/dev/ttyS1", os.O_RDWR | os.O_NOCTTY)
tty.setraw(port)
os.write(port, b'{"ready": true}\n')
with os.fdopen(port, "r+b", buffering=0) as lines:
    rest = b""
    while True:
        rest += lines.read(4096)
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            done = subprocess.run(
                json.loads(line), shell=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            )  # fmt: skip
            answer = {"status": done.returncode, "out": done.stdout.decode(errors="replace")}
            lines.write(json.dumps(answer).encode() + b"\n")
