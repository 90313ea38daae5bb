"""The Settings page: what it weighs, and how long a browser waits for its first byte."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

from benchmarks.measuring import figure, run
from benchmarks.results import Group, Row
from benchmarks.scene import Scene
from repoint.page.control_socket import request_link

_WARM = 30
_STARTS = 7
_WEIGHT = 60_000
"""The goal for all that a browser loads, in bytes."""
_WARM_GOAL = 0.1
_START_GOAL = 0.8
"""Seconds."""

# Starts a program with the sockets that it inherits, as systemd does (man 3 sd_listen_fds).
_AS_SYSTEMD = """
import os, sys
for number, fd in enumerate(map(int, sys.argv[1].split(',')), 3):
    os.dup2(fd, number, inheritable=True)
os.environ |= {'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '2'}
os.execv(sys.executable, [sys.executable, '-m', 'repoint.page', '--store', sys.argv[2]])
"""


@dataclass
class _Page:
    """A page behind two sockets that are held open here, as systemd does."""

    store: Path
    control: socket.socket
    page: socket.socket
    cookie: str = ""
    home: str = ""

    @property
    def port(self) -> int:
        return int(self.page.getsockname()[1])

    def start(self) -> subprocess.Popen[bytes]:
        """Start the server, as the first connection makes systemd do."""
        given = (self.control.fileno(), self.page.fileno())
        command = [sys.executable, "-c", _AS_SYSTEMD, ",".join(map(str, given)), str(self.store)]
        return subprocess.Popen(command, pass_fds=given)

    def enter(self) -> None:
        """Begin a session by a one-time link."""
        link = request_link(self.store / "page.sock", None)
        if link is None:
            raise SystemExit("benchmarks: the Settings page does not start")
        connection = HTTPConnection("127.0.0.1", self.port)
        connection.request("GET", f"/open/{link.rpartition('/')[2]}")
        answer = connection.getresponse()
        self.cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
        self.home = answer.getheader("Location") or ""
        connection.close()

    def get(self, path: str) -> tuple[float, bytes]:
        """Seconds until the first byte of an answer, with the connection made anew; the body."""
        began = time.perf_counter()
        connection = HTTPConnection("127.0.0.1", self.port)
        address = self.home + path[1:] if path.startswith("/product/") else path
        connection.request("GET", address, headers={"Cookie": self.cookie})
        answer = connection.getresponse()
        took = time.perf_counter() - began
        body = answer.read()
        connection.close()
        if answer.status != 200:
            raise SystemExit(f"benchmarks: the Settings page answers {answer.status} for {path}")
        return took, body


def measure(scene: Scene, progress: Callable[[], None]) -> list[Group]:
    """Open the page of a device where a fix waits for its restart."""
    scene.repoint_device.reset()
    run(scene.repoint.driver("update"))
    store = scene.repoint.device / "store"
    panel = f"/product/{_product(store)}/"
    with (
        socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control,
        socket.create_server(("127.0.0.1", 0)) as listener,
    ):
        folder = os.open(store, os.O_PATH)
        control.bind(f"/proc/self/fd/{folder}/page.sock")
        os.close(folder)
        control.listen()
        page = _Page(store, control, listener)
        warm, loaded = _warm(page, panel, progress)
        starts = _starts(page, panel, progress)
    (store / "page.sock").unlink()
    return [
        Group(
            "The Settings page, on this machine",
            ("Repoint",),
            (
                Row("first byte, while the server runs", (figure(warm, "s"),), goal=_WARM_GOAL),
                Row("first byte, when a socket starts the server", (figure(starts, "s"),),
                    goal=_START_GOAL),
                Row("all that a browser loads, not compressed",
                    (figure([sum(loaded.values())], "B"),), goal=_WEIGHT),
                Row("of that, what it loads each time", (figure([loaded[panel]], "B"),)),
            ),
            ("A browser loads " + ", ".join(f"`{name}` {size:,} B" for name, size in
             loaded.items() if name != panel) + " once, and keeps them.",),
        )
    ]  # fmt: skip


def _warm(
    page: _Page, panel: str, progress: Callable[[], None]
) -> tuple[list[float], dict[str, int]]:
    with page.start() as server:
        page.enter()
        took = []
        for _ in range(_WARM):
            seconds, body = page.get(panel)
            took.append(seconds)
            progress()
        loaded = {panel: len(body)}
        for address in re.findall(rb'(?:href|src)="(/assets/[^"]+)"', body):
            name = address.decode().partition("?")[0].rpartition("/")[2]
            loaded[name] = len(page.get(address.decode())[1])
        server.terminate()
    return took[1:], loaded


def _starts(page: _Page, panel: str, progress: Callable[[], None]) -> list[float]:
    took = []
    for _ in range(_STARTS):
        began = time.perf_counter()
        with page.start() as server:
            page.get(panel)
            took.append(time.perf_counter() - began)
            server.terminate()
        progress()
    return took


def _product(store: Path) -> str:
    return next(folder.name for folder in (store / "products").iterdir())
