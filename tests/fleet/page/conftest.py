from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from repoint.fleet.page.vendor import VendorSide
from repoint.fleet.records import FleetState
from repoint.fleet.stores.opening import open_state
from repoint.repository.repository import Repository
from tests.fleet.page.served import Served, served, write_accounts
from tests.fleet.page.vendor_world import fill, make_repository
from tests.page.panel import LONG
from tests.world import no_passphrase

# A busy machine must not fail a test.
expect.set_options(timeout=LONG)

DEVICES = int(os.environ.get("REPOINT_PICTURE_DEVICES", "800"))


@dataclass
class World:
    """A vendor's repository, the state of its fleet, and the page's folder."""

    repository: Repository
    fleet: FleetState
    folder: Path
    now: int

    @property
    def vendor(self) -> VendorSide:
        return VendorSide(self.repository, no_passphrase, time.time)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, int]:
    """A vendor with a fleet, which each test copies, and when it was made."""
    folder, now = tmp_path_factory.mktemp("fleet"), int(time.time())
    make_repository(folder, now)
    fill(f"sqlite:///{folder}/fleet.db", now, DEVICES)
    return folder, now


@pytest.fixture
def world(template: tuple[Path, int], tmp_path: Path) -> Iterator[World]:
    source, now = template
    shutil.copytree(source, tmp_path / "world")
    folder = tmp_path / "state"
    write_accounts(folder)
    state = open_state(f"sqlite:///{tmp_path}/world/fleet.db")
    repository = Repository.open(tmp_path / "world/repository")
    yield World(repository, state, folder, now)
    state.close()


@pytest.fixture
def page(world: World) -> Iterator[Served]:
    with served(world.fleet, world.folder, world.vendor) as running:
        yield running


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[str], Path]:
    """Where to write the pictures of the documentation; see `make pictures`."""
    folder = Path(os.environ.get("REPOINT_PICTURES", tmp_path))
    return lambda name: folder / f"fleet-{name}.png"
