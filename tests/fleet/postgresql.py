"""A PostgreSQL of its own in a folder, as an account without privileges."""

from __future__ import annotations

import contextlib
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

ACCOUNT = "postgres"
"""The account that Debian's package creates; PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """Return the folder of the newest PostgreSQL's programs; None if there is none."""
    found = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda p: int(p.parts[4])
    )
    if found:
        return found[-1].parent
    program = shutil.which("postgres")
    return Path(program).parent if program else None


def free_port() -> int:
    """Return a port of the loopback interface that nothing listens on.

    It is below those that the kernel gives to connections: one of these could take it before the
    server does.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 30_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


class PostgreSQLServer:
    """A server on loopback. It keeps Debian's defaults for durability: every commit is synced."""

    def __init__(self, settings: tuple[str, ...] = ()) -> None:
        bin_folder = programs()
        assert bin_folder is not None
        self._bin = bin_folder
        self._settings = settings
        # Not below pytest's folders, which other accounts cannot enter.
        self.folder = Path(tempfile.mkdtemp(prefix="repoint-postgresql."))
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0
        if os.geteuid() == 0:
            account = pwd.getpwnam(ACCOUNT)
            os.chown(self.folder, account.pw_uid, account.pw_gid)
        self._run(
            "initdb", "--pgdata", str(self.folder / "data"), "--username", "repoint",
            "--auth", "trust", "--encoding", "UTF8", "--no-locale",
        )  # fmt: skip
        self.start()

    def start(self) -> None:
        """Start the server, and wait until it answers."""
        options = [f"-c{setting}" for setting in self._settings]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._bin / "postgres"), "-D", str(self.folder / "data"), "-h", "127.0.0.1",
                 "-p", str(self.port), "-k", str(self.folder), *options],
                stdout=subprocess.DEVNULL, stderr=log, **self._identity(),
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self.folder / "log").read_text()
                assert time.monotonic() < deadline, "PostgreSQL does not start"
                time.sleep(0.1)

    def url(self, database: str) -> str:
        """Return the address of a database."""
        return f"postgresql://repoint@127.0.0.1:{self.port}/{database}"

    def new_database(self) -> str:
        """Create a database, and return its address."""
        self._number += 1
        name = f"fleet{self._number}"
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return self.url(name)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End the server: SIGINT ends its connections first, SIGQUIT is like a power cut."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(30)
            self._process = None

    def close(self) -> None:
        """End the server and remove its folder."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.folder)

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [str(self._bin / program), *arguments], check=True, capture_output=True,
            **self._identity(),
        )  # fmt: skip

    def _identity(self) -> dict[str, Any]:
        if os.geteuid():
            return {"cwd": self.folder}
        return {"cwd": self.folder, "user": ACCOUNT, "group": ACCOUNT, "extra_groups": []}
