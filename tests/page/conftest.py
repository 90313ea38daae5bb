from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import expect

from repoint.agent.agent_state import AgentState, write_agent_state
from tests.page.kiosk import Kiosk, kiosk, vendor_folder
from tests.page.panel import LONG
from tests.page.settings import Settings, set_test_passcode, settings
from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor

# A busy machine must not fail a test.
expect.set_options(timeout=LONG)


@dataclass
class Fort:
    """A device whose page is attacked."""

    place: Place
    served: Settings

    @property
    def unchanged(self) -> bool:
        """Whether no attack has changed anything."""
        device = self.place.device
        return device.preferences.settings(None).automatic and not device.status(None).staged


@pytest.fixture
def viewer_kiosk(tmp_path: Path, run_folder: Path) -> Iterator[Kiosk]:
    with kiosk(tmp_path, vendor_folder(run_folder)) as device:
        yield device


@pytest.fixture(scope="session")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor that has published one improvement. All tests share it, so none may change it."""
    vendor = Vendor(tmp_path_factory.mktemp("vendor"))
    vendor.baseline()
    vendor.release()
    return vendor


@pytest.fixture
def own_vendor_place(tmp_path: Path) -> Iterator[Place]:
    """A device whose vendor belongs to the test, and has published nothing."""
    vendor = Vendor(tmp_path / "vendor")
    vendor.baseline()
    server = WebServer(vendor.public)
    place = Place(tmp_path / "device", server, vendor)
    place.put()
    yield place
    place.stop()
    server.close()


@pytest.fixture
def enrolled(place: Place) -> Place:
    """An enrolled device that knows of an improvement, and that an agent looks after."""
    return enroll(place)


@pytest.fixture
def served(enrolled: Place) -> Iterator[Settings]:
    with settings(enrolled.folder / "store") as server:
        yield server


@pytest.fixture(scope="module")
def fort(tmp_path_factory: pytest.TempPathFactory, vendor: Vendor) -> Iterator[Fort]:
    """One page for many attacks, none of which changes anything."""
    server = WebServer(vendor.public)
    place = Place(tmp_path_factory.mktemp("fort"), server, vendor)
    place.put()
    enroll(place)
    set_test_passcode(place.folder / "store")
    try:
        with settings(place.folder / "store") as served:
            yield Fort(place, served)
    finally:
        server.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[str], Path]:
    """Where to write the pictures of the documentation; see `make pictures`."""
    folder = Path(os.environ.get("REPOINT_PICTURES", tmp_path))
    return lambda name: folder / f"settings-{name}.png"


def enroll(place: Place) -> Place:
    """Enroll a device, check the repository, and record that the agent has run."""
    place.enroll()
    place.device.check(None)
    write_agent_state(place.product, AgentState(last_run=int(time.time())))
    return place
