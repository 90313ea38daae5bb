from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.page.browsing import browser
from tests.page.kiosk import Kiosk, kiosk, vendor_folder
from tests.page.settings import Client, Settings, settings
from tests.places import Place


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
    return place


@pytest.fixture
def served(enrolled: Place) -> Iterator[Settings]:
    with settings(enrolled.folder / "store") as made:
        yield made


@pytest.fixture
def client(served: Settings) -> Client:
    return Client.entered(served)


@pytest.fixture
def pictures(tmp_path: Path) -> Callable[[str], Path]:
    """Where the pictures of the documentation go; see `make pictures`."""
    import os

    folder = Path(os.environ.get("REPOINT_PICTURES", tmp_path))
    return lambda name: folder / f"settings-{name}.png"
