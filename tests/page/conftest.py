from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from repoint.agent.agent_state import AgentState, write_agent_state
from repoint.page.auth.passcodes import OwnPasscode
from repoint.page.page_store import PageStore
from tests.page.browsing import browser
from tests.page.kiosk import Kiosk, kiosk, vendor_folder
from tests.page.panel import LONG
from tests.page.settings import PASSCODE, Settings, settings
from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor

# A busy machine is no failure.
expect.set_options(timeout=LONG)


@dataclass
class Fort:
    """A device whose page is attacked."""

    place: Place
    served: Settings

    @property
    def stands(self) -> bool:
        """Whether nothing was changed."""
        device = self.place.device
        return device.settings(None).automatic and not device.status(None).staged


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture
def viewer_kiosk(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kiosk]:
    shared = tmp_path_factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a worker of pytest-xdist; its parent is the run's
        shared = shared.parent
    with kiosk(tmp_path, vendor_folder(shared)) as made:
        yield made


@pytest.fixture
def enrolled(place: Place) -> Place:
    """A device whose vendor has published an improvement, which it knows of."""
    place.enroll()
    place.vendor.release()
    place.device.check(None)
    write_agent_state(place.product, AgentState(last_run=int(time.time())))
    return place


@pytest.fixture
def served(enrolled: Place) -> Iterator[Settings]:
    with settings(enrolled.folder / "store") as made:
        yield made


@pytest.fixture(scope="module")
def fort(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fort]:
    """One page for many attacks, none of which changes anything."""
    folder = tmp_path_factory.mktemp("fort")
    vendor = Vendor(folder / "vendor")
    vendor.baseline()
    server = WebServer(vendor.public)
    place = Place(folder / "device", server, vendor)
    place.put()
    place.enroll()
    vendor.release()
    place.device.check(None)
    OwnPasscode(PageStore(place.folder / "store")).set(PASSCODE, PASSCODE)
    try:
        with settings(place.folder / "store") as served:
            yield Fort(place, served)
    finally:
        server.close()


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[str], Path]:
    """Where the pictures of the documentation go; see `make pictures`."""
    folder = Path(os.environ.get("REPOINT_PICTURES", tmp_path))
    return lambda name: folder / f"settings-{name}.png"
