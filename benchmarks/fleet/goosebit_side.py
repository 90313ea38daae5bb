"""goosebit, in an environment of its own: a device polls, then reports that it has finished."""

from __future__ import annotations

import os
import subprocess
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
from tests.fleet.postgresql import free_port

from benchmarks.fleet.load import request

_HOME = Path(__file__).resolve().parents[2]
_ENVIRONMENT = _HOME / ".cache" / "goosebit"

FEEDBACK = msgspec.json.encode(
    {"status": {"execution": "closed", "result": {"finished": "success"}}}
)


def installed() -> Path:
    """Return goosebit's interpreter; install it first if it is not there."""
    python = _ENVIRONMENT / "bin" / "python"
    wanted = _HOME / "benchmarks" / "goosebit.txt"
    stamp = _ENVIRONMENT / wanted.name
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        venv.create(_ENVIRONMENT, with_pip=True, clear=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(wanted)], check=True)
        stamp.write_text(wanted.read_text())
    return python


@contextmanager
def running(database: str, folder: Path) -> Iterator[int]:
    """Run goosebit on a database, and yield its port. It writes its log to a file."""
    python = installed()
    environment = os.environ | {"GOOSEBIT_DB_URI": database}
    tables = _HOME / "benchmarks" / "drivers" / "goosebit_tables.py"
    subprocess.run(
        [str(python), str(tables)], check=True, env=environment, cwd=folder, capture_output=True
    )
    port = free_port()
    with (folder / "goosebit.log").open("wb") as log:
        process = subprocess.Popen(
            [str(python), "-m", "uvicorn", "goosebit:app", "--port", str(port),
             "--log-level", "warning", "--no-access-log"],
            env=environment, cwd=folder, stdout=log, stderr=log,
        )  # fmt: skip
    try:
        _wait(port)
        yield port
    finally:
        process.kill()
        process.wait()


def poll(device: str) -> bytes:
    """Return the request of a device that asks for updates."""
    return request("GET", f"/DEFAULT/controller/v1/{device}")


def feedback(device: str) -> bytes:
    """Return the request of a device that has installed an update."""
    return request("POST", f"/DEFAULT/controller/v1/{device}/deploymentBase/1/feedback", FEEDBACK)


def _wait(port: int) -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2).close()
            return
        except urllib.error.HTTPError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
