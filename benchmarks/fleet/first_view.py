"""How long a person waits for the first view of the fleet page, over HTTP, after its start."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlencode

from tests.fleet.page.vendor_world import make_repository

from benchmarks.fleet.filling import PRODUCT

RUNS = 7
_PASSWORD = "correct horse battery staple"


def measure(database: str) -> tuple[float, ...]:
    """Return the seconds until the first byte of a product's page, each after a new start.

    Args:
        database: A database that `benchmarks.fleet.filling.fill` has filled.
    """
    folder = Path(tempfile.mkdtemp(prefix="repoint-page-"))
    try:
        make_repository(folder, int(time.time()))
        environment = {**os.environ, "REPOINT_FLEET_STATE": str(folder / "page")}
        subprocess.run(
            [*_COMMAND, "account", "add", "anna", "--role", "operator", "--password-file", "-"],
            env=environment, input=f"{_PASSWORD}\n", text=True, check=True, stdout=subprocess.PIPE,
        )  # fmt: skip
        return tuple(_first(database, folder, environment) for _ in range(RUNS))
    finally:
        shutil.rmtree(folder)


_COMMAND = [sys.executable, "-m", "repoint", "fleet"]


def _first(database: str, folder: Path, environment: dict[str, str]) -> float:
    with subprocess.Popen(
        [*_COMMAND, "open", "--listen", "127.0.0.1:0", "--database", database,
         "--repository", str(folder / "repository")],
        env=environment, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            found = re.search(r":(\d+)/", process.stdout.readline())
            assert found is not None
            connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=60)
            home, cookie = _sign_in(connection, int(found[1]))
            begun = time.perf_counter()
            connection.request("GET", f"{home}product/{PRODUCT}/", headers={"Cookie": cookie})
            answer = connection.getresponse()
            taken = time.perf_counter() - begun
            assert answer.status == 200, answer.status
            answer.read()
            connection.close()
            return taken
        finally:
            process.terminate()


def _sign_in(connection: HTTPConnection, port: int) -> tuple[str, str]:
    connection.request(
        "POST", "/sign-in", urlencode({"name": "anna", "password": _PASSWORD}),
        {"Content-Type": "application/x-www-form-urlencoded",
         "Origin": f"http://127.0.0.1:{port}"},
    )  # fmt: skip
    answer = connection.getresponse()
    answer.read()
    assert answer.status == 303, answer.status
    cookie = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    return answer.getheader("Location") or "", cookie
