"""The commands of the fleet page, as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fleet.page.conftest import World
from tests.fleet.page.served import Client
from tests.fleet.page.vendor_world import PRODUCT

PASSWORD = "a long enough password"


def environment(state: Path, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("REPOINT_", "DISPLAY"))}
    return {**kept, "REPOINT_FLEET_STATE": str(state), **more}


def run(state: Path, *arguments: str, text: str = "") -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "repoint", "fleet", *arguments],
        env=environment(state), input=text, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_an_account_is_added_changed_listed_and_removed(tmp_path: Path) -> None:
    add = ("account", "add", "anna", "--role", "operator", "--password-file", "-")
    assert run(tmp_path, *add, text=f"{PASSWORD}\n")[0] == 0
    status, text = run(tmp_path, *add, text=f"{PASSWORD}\n")
    assert status == 1
    assert "There is already an account anna" in text
    assert run(tmp_path, "account", "list") == (0, "anna  operator\n")
    assert run(tmp_path, "account", "change", "anna", "--role", "viewer")[0] == 0
    assert '"role": "viewer"' in run(tmp_path, "account", "list", "--json")[1]
    assert run(tmp_path, "account", "change", "anna")[0] == 2
    assert run(tmp_path, "account", "add", "ben", "--role", "king")[0] == 2
    status, text = run(tmp_path, "account", "add", "ben", "--role", "viewer")
    assert (status, "there is no terminal" in text) == (1, True)
    assert run(tmp_path, "account", "remove", "anna")[0] == 0
    assert "There is no account" in run(tmp_path, "account", "list")[1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (("--listen", "0.0.0.0:0"), 1, "without encryption"),
        (("--listen", "nonsense"), 2, "is not an address and a port"),
        (("--public-url", "http://fleet.example.com"), 1, "is not an address with HTTPS"),
        (("--repository", "/none"), 1, "There is no repository"),
        (("--database", "mysql://x"), 1, "database"),
        (("--oidc", "/none"), 1, "cannot be read"),
    ],
)
def test_what_cannot_be_served_is_refused_in_one_sentence(
    tmp_path: Path, arguments: tuple[str, ...], status: int, says: str
) -> None:
    got, text = run(tmp_path, "open", "--listen", "127.0.0.1:0", *arguments)
    assert (got, says in text) == (status, True), text
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_port_that_is_taken_is_said(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, text = run(tmp_path, "open", "--listen", f"127.0.0.1:{taken.getsockname()[1]}")
    assert status == 1
    assert "in use" in text
    assert "Traceback" not in text


@pytest.mark.slow
@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_the_page_is_served_until_it_is_stopped(world: World, stop: signal.Signals) -> None:
    database = f"sqlite:///{world.repository.path.parent}/fleet.db"
    with subprocess.Popen(
        [sys.executable, "-m", "repoint", "fleet", "open", "--listen", "127.0.0.1:0",
         "--database", database, "--repository", str(world.repository.path)],
        env=environment(world.folder), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("The fleet page is at http://127.0.0.1:"), line
        port = int(line.rstrip("/\n").rpartition(":")[2])
        assert "halt?" in Client.entered(port).get(f"product/{PRODUCT}/")
        process.send_signal(stop)
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 0
    assert errors == ""
