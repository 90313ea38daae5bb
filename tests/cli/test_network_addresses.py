"""What a person sees of addresses, portals and silent servers, as one line each."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.command import Answer, everything, refusal, repoint
from tests.middlebox import PAGE, Middlebox, Reply, always
from tests.world import OLD, PLATFORM, Vendor, write_tree


def enroll(folder: Path, shop: Vendor, url: str, env: dict[str, str] | None = None) -> Answer:
    return repoint(
        "enroll", url, "--product", shop.product,
        "--root", shop.public / "metadata/1.root.json", "--graft", f"engine={folder}/app/engine",
        "--platform", PLATFORM, "--store", folder / "store", env=env,
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_tree(tmp_path / "app/engine", OLD)
    return tmp_path


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://[::1", "is malformed"),
        ("http://u:secret@127.0.0.1:1/", "contains a user name or a password"),
        ("http://127.0.0.1:1/?token=secret", "contains a query"),
        ("http://127.0.0.1:99999", "no valid port"),
    ],
)
def test_a_broken_address_is_refused_before_anything_is_made(
    folder: Path, shop: Vendor, url: str, expected: str
) -> None:
    before = everything(folder)
    line = refusal(enroll(folder, shop, url), expected)
    assert "secret" not in line
    assert {p: v for p, v in everything(folder).items() if not p.startswith("store")} == before
    assert not list(folder.glob("store/products/*"))


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that accepts connections and says nothing."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(8)
        kept: list[socket.socket] = []

        def accept() -> None:
            while True:
                try:
                    kept.append(listening.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@pytest.mark.slow
def test_a_silent_server_costs_one_timeout_and_is_named_meanwhile(
    folder: Path, shop: Vendor, silent: str
) -> None:
    started = time.monotonic()
    answer = enroll(folder, shop, silent)
    assert time.monotonic() - started < 45
    host = silent.removeprefix("http://")
    waiting, line = answer.err.splitlines()
    assert waiting == f"Waiting for {host} …"
    assert "it responds too slowly" in line
    assert answer.status == 1


def test_a_portal_at_enrolment_is_one_line_and_the_next_try_works(
    folder: Path, shop: Vendor
) -> None:
    server = Middlebox(shop.public)
    server.behaviour, honest = (
        always(Reply(200, PAGE, {"Content-Type": "text/html"})),
        server.behaviour,
    )
    refusal(enroll(folder, shop, server.url), "looks like a page that asks for a login", "Log in")
    server.behaviour = honest
    assert enroll(folder, shop, server.url).status == 0
    server.close()


@pytest.mark.slow
def test_a_proxy_of_the_environment_is_used_and_its_password_never_shown(
    folder: Path, shop: Vendor
) -> None:
    proxy = Middlebox(shop.public)
    env = {"http_proxy": proxy.url.replace("//", "//kiosk:secret@"), "no_proxy": ""}
    url = "http://updates.invalid/"
    assert enroll(folder, shop, url, env).status == 0
    assert proxy.requests
    assert all(request.path.startswith("http://updates.invalid/") for request in proxy.requests)
    proxy.close()
    answer = repoint("check", "--store", folder / "store", env=env)
    line = refusal(answer, "The proxy 127.0.0.1:", "it does not accept connections")
    assert "secret" not in line
    files = [file for file in (folder / "store").rglob("*") if file.is_file()]
    assert not any(b"secret" in file.read_bytes() for file in files)
    assert "secret" not in repoint("status", "--store", folder / "store").out


@pytest.mark.slow
def test_check_and_status_say_that_the_policy_is_refused(folder: Path, shop: Vendor) -> None:
    server = Middlebox(shop.public)
    assert enroll(folder, shop, server.url).status == 0
    (folder / "policy.d").mkdir()
    (folder / "policy.d").chmod(0o777)
    env = {"REPOINT_POLICY": str(folder / "policy.d")}
    checked = repoint("check", "--store", folder / "store", env=env)
    assert checked.status == 0
    assert "The policy is refused, because" in checked.err
    assert "The policy is refused" in repoint("status", "--store", folder / "store", env=env).out
    run = repoint("agent", "run-once", "--store", folder / "store", env=env)
    assert run.status == 1
    assert "The policy is refused" in run.err
    assert (folder / "app/engine/main.py").read_text() == "VERSION = 'old'\n"
    shown = repoint("policy", "--store", folder / "store", env=env)
    assert (shown.status, "chmod go-w" in shown.err) == (1, True)
    server.close()


def test_a_policy_folder_that_does_not_exist_is_an_error(folder: Path) -> None:
    refusal(repoint("policy", folder / "nope"), "does not exist", "Check the path")
