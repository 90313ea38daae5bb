"""Starts the page's server as a process of its own, without importing it anew for each test.

A helper process imports the server once and forks for each. It also answers for the exit status,
since it is the parent.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Forker:
    """The helper process, seen from the tests."""

    process: subprocess.Popen[str]
    lock: threading.Lock = field(default_factory=threading.Lock)

    def ask(self, **request: object) -> Any:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        with self.lock:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate()


@functools.cache
def forker() -> Forker:
    command = [sys.executable, "-m", "tests.page.prefork"]
    started = Forker(
        subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    )
    atexit.register(started.stop)
    return started


@dataclass
class Server:
    """A server that the helper has started; used like a `subprocess.Popen`."""

    pid: int
    status: int | None = None

    @classmethod
    def start(cls, arguments: list[str], environment: dict[str, str]) -> Server:
        return cls(forker().ask(arguments=arguments, environment=environment))

    def poll(self) -> int | None:
        if self.status is None:
            self.status = forker().ask(wait=self.pid)
        return self.status

    def wait(self, timeout: float = 20) -> int:
        deadline = time.monotonic() + timeout
        while (status := self.poll()) is None:
            assert time.monotonic() < deadline, "the server does not end"
            time.sleep(0.01)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def main() -> None:
    """Run the helper: a request a line, an answer a line."""
    from repoint.page import __main__ as program

    parent = os.getppid()
    # Forks of the test process keep the pipe open, so its end does not show that the tests ended.
    while os.getppid() == parent:
        if not select.select([sys.stdin], [], [], 5)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            break
        request = json.loads(line)
        if "wait" in request:
            pid, status = os.waitpid(request["wait"], os.WNOHANG)
            print(os.waitstatus_to_exitcode(status) if pid else "null", flush=True)
            continue
        pid = os.fork()
        if pid:
            print(pid, flush=True)
            continue
        os.dup2(2, 1)
        os.environ.clear()
        os.environ.update(request["environment"])
        time.tzset()
        sys.argv = ["repoint.page", *request["arguments"]]
        try:
            program.main()
        except SystemExit as end:
            if isinstance(end.code, str):
                print(end.code, file=sys.stderr)
            os._exit(end.code if isinstance(end.code, int) else bool(end.code))
        os._exit(0)


if __name__ == "__main__":
    main()
