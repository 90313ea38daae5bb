"""Requests of devices, and how fast a server takes them."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_DRIVER = Path(__file__).resolve().parents[1] / "drivers" / "http_load.py"
CONNECTIONS = 64


@dataclass(frozen=True)
class Taken:
    """How a server took requests.

    Attributes:
        rate: Requests a second.
        median: Seconds of the median request.
        slow: Seconds that 99 of 100 requests took at most.
    """

    rate: float
    median: float
    slow: float


def request(method: str, path: str, body: bytes = b"") -> bytes:
    """Return a request as it goes over the wire."""
    head = f"{method} {path} HTTP/1.1\r\nHost: fleet\r\nContent-Length: {len(body)}\r\n"
    return f"{head}Content-Type: application/json\r\n\r\n".encode() + body


def send(port: int, requests: Iterable[bytes], expected: str) -> Taken:
    """Send requests from a process of its own, over 64 connections that are kept.

    Raises:
        SystemExit: A request was answered otherwise than expected.
    """
    with tempfile.NamedTemporaryFile() as file:
        count = 0
        for one in requests:
            file.write(len(one).to_bytes(4, "big") + one)
            count += 1
        file.flush()
        done = subprocess.run(
            [sys.executable, str(_DRIVER), str(port), str(CONNECTIONS), file.name],
            check=True, capture_output=True, text=True,
        )  # fmt: skip
    found = json.loads(done.stdout)
    if found["statuses"] != {expected: count}:
        raise SystemExit(f"bench-fleet: answers were {found['statuses']}")
    times = sorted(found["times"])
    return Taken(count / found["seconds"], statistics.median(times), times[len(times) * 99 // 100])
