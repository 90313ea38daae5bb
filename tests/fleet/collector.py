"""A collector as a process of its own, and requests to it."""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import uvicorn
from starlette.types import ASGIApp

from repoint.fleet.listening import listen
from repoint.model.report import Report


class Answer(NamedTuple):
    status: int
    body: bytes
    headers: dict[str, str]

    def json(self) -> Any:
        return json.loads(self.body)


class CollectorProcess:
    """``repoint fleet serve``, on a free port of loopback."""

    def __init__(
        self, database: str, *options: str, port: int = 0, descriptors: int | None = None
    ) -> None:
        def limit() -> None:
            if descriptors is not None:
                resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))

        self.process = subprocess.Popen(
            [sys.executable, "-m", "repoint", "fleet", "serve", "--database", database,
             "--listen", f"127.0.0.1:{port}", *options],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, preexec_fn=limit,
        )  # fmt: skip
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.lines: list[str] = []
        line = self.process.stdout.readline()
        self.admin = 0
        while line and "/v1/reports" not in line:
            if reading := re.search(r"http://127\.0\.0\.1:(\d+)/metrics", line):
                self.admin = int(reading[1])
            line = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", line)
        if found is None:
            raise AssertionError(self.process.stderr.read())
        self.port = int(found[1])
        # Else the process would wait at a full pipe.
        for stream in (self.process.stdout, self.process.stderr):
            threading.Thread(target=self._drain, args=(stream,), daemon=True).start()

    def send(self, reports: list[Report]) -> Answer:
        """Send reports as a device does."""
        return self.request("POST", msgspec.json.encode(reports))

    def request(
        self, method: str, body: bytes, headers: dict[str, str] | None = None, timeout: float = 30
    ) -> Answer:
        """Make a request at a connection of its own."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        try:
            with contextlib.suppress(BrokenPipeError):  # the answer may come before all is sent
                connection.request(
                    method, "/v1/reports", body,
                    {"Content-Type": "application/json"} | (headers or {}),
                )  # fmt: skip
            response = connection.getresponse()
            return Answer(
                response.status,
                response.read(),
                {name.lower(): value for name, value in response.getheaders()},
            )
        finally:
            connection.close()

    def get(self, path: str, token: str = "") -> Answer:
        """Read from the listener for programs."""
        connection = http.client.HTTPConnection("127.0.0.1", self.admin, timeout=30)
        try:
            connection.request(
                "GET", path, headers={"Authorization": f"Bearer {token}"} if token else {}
            )
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def kill(self) -> None:
        """End the process as a crash would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        """End the process as systemd does, and return its status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)

    def _drain(self, stream: Any) -> None:
        with stream:
            self.lines.extend(stream)


@contextlib.contextmanager
def serving(app: ASGIApp, **settings: Any) -> Iterator[int]:
    """Serve an application in this process, and return its port."""
    listener = listen("127.0.0.1:0")
    config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", **settings)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join()


def memory_of(pid: int) -> int:
    """Return the bytes that a process has in memory."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) * 1024
