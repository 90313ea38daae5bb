"""The command line for the conformance suite, with one of our repositories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from repoint.repository import names
from tests.serving import WebServer
from tests.world import Vendor

CLIENT = Path(__file__).with_name("client.py")


@pytest.fixture
def client(tmp_path: Path, vendor: Vendor) -> Path:
    """Return the folder of the metadata that a client trusts after `init`."""
    (tmp_path / "root").write_bytes(vendor.root)
    (tmp_path / "metadata").mkdir()
    (tmp_path / "targets").mkdir()
    assert run("--metadata-dir", tmp_path / "metadata", "init", tmp_path / "root") == 0
    return tmp_path


def run(*arguments: str | Path) -> int:
    command = [sys.executable, str(CLIENT), *map(str, arguments)]
    return subprocess.run(command, check=False, timeout=60).returncode


def refresh(client: Path, server: WebServer) -> int:
    return run("--metadata-dir", client / "metadata",
               "--metadata-url", f"{server.url}/metadata/", "refresh")  # fmt: skip


def download(client: Path, server: WebServer, *wanted: str) -> int:
    return run("--metadata-dir", client / "metadata", "--metadata-url", f"{server.url}/metadata/",
               *(part for name in wanted for part in ("--target-name", name)),
               "--target-dir", client / "targets",
               "--target-base-url", f"{server.url}/targets/", "download")  # fmt: skip


def test_refreshing_brings_the_metadata_in_the_order_of_the_specification(
    client: Path, server: WebServer
) -> None:
    assert refresh(client, server) == 0
    files = [request.path.rpartition("/")[2] for request in server.requests]
    roles = [name.split(".")[-2] for name in files]
    assert roles == ["root", "root", "timestamp", "snapshot", "targets"][-len(roles) :]
    trusted = {path.name for path in (client / "metadata").glob("*.json")}
    assert trusted == {"root.json", "timestamp.json", "snapshot.json", "targets.json"}


@pytest.mark.slow
def test_a_target_is_downloaded_once_and_again_when_it_has_changed(
    client: Path, server: WebServer, vendor: Vendor
) -> None:
    path = names.catalog_path(vendor.product)
    assert download(client, server, path) == 0
    (kept,) = (client / "targets").iterdir()
    first = kept.read_bytes()
    server.requests.clear()
    assert download(client, server, path) == 0
    assert not [request for request in server.requests if "/targets/" in request.path]
    vendor.release()
    assert download(client, server, path) == 0
    assert list((client / "targets").iterdir()) == [kept]
    assert kept.read_bytes() != first


def test_what_is_not_signed_or_not_there_ends_with_status_1(
    client: Path, server: WebServer, vendor: Vendor
) -> None:
    assert download(client, server, "acme-kiosk/nothing.json") == 1
    server.alter = lambda path, data: b"[]" if path.endswith("timestamp.json") else data
    vendor.release()
    assert refresh(client, server) == 1
