"""Repositories in a served folder, and devices that read them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.repository.repository import Repository
from tests.repository.support import SERVER, Device, Web, no_passphrase


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("served")
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process.stdout:
        yield Web(folder, process.stdout.readline().strip())
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test cuts the power, so none needs to wait for the disk."""
    monkeypatch.setattr("os.fsync", lambda descriptor: None)


@pytest.fixture
def folder(web: Web, request: pytest.FixtureRequest) -> Path:
    """Where a test's repository goes, below the served folder."""
    return web.folder / str(request.node.name)


@pytest.fixture
def repository(folder: Path) -> Repository:
    """A repository with the product ``acme`` and a catalog, its keys not encrypted."""
    repository = Repository.create(folder, passphrase=None)
    with repository.publication(no_passphrase) as publication:
        publication.add_product("acme", passphrase=None)
        publication.put_catalog("acme", b"first catalog")
    return repository


@pytest.fixture
def device(web: Web, tmp_path: Path) -> Callable[[Repository], Device]:
    """Makes a new device that trusts the repository's current root."""
    made: list[Device] = []

    def make(repository: Repository) -> Device:
        url = f"{web.url}{repository.path.name}/public/"
        made.append(Device(tmp_path / f"device{len(made)}", url, repository.root_bytes()))
        return made[-1]

    return make
