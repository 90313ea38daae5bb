from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

from tests.places import Place
from tests.serving import WebServer
from tests.taker import Taker
from tests.world import Vendor

if TYPE_CHECKING:
    from playwright.sync_api import Browser

# On a busy machine, the duration of an example says nothing.
settings.register_profile("repoint", deadline=None)
settings.load_profile("repoint")


@pytest.hookimpl(tryfirst=True)  # before the slow ones are deselected
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow all cases but the first of each test that is marked `one_quick`."""
    seen: set[str] = set()
    for item in items:
        if item.get_closest_marker("one_quick") is not None:
            name = item.nodeid.partition("[")[0]
            if name in seen:
                item.add_marker("slow")
            seen.add(name)


@pytest.fixture(autouse=True)
def same_surroundings() -> Iterator[None]:
    """Keep what a test leaves behind in this process from those that follow."""
    folder, environment = Path.cwd(), dict(os.environ)
    yield
    assert Path.cwd() == folder, "the test leaves another working folder behind"
    left = dict(os.environ)
    for surroundings in (environment, left):
        surroundings.pop("PYTEST_CURRENT_TEST", None)
    assert left == environment, "the test leaves other environment variables behind"


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of this run, which all workers of pytest-xdist share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if base.name.startswith("popen-") else base


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """The browser of all tests of a process, which can have only one at a time."""
    from tests.page.browsing import browser

    with browser(tmp_path_factory.mktemp("browser")) as started:
        yield started


@pytest.fixture(scope="session")
def first_vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """The vendor that every test gets a copy of: keys and signatures take time."""
    made = Vendor(tmp_path_factory.mktemp("first") / "vendor")
    made.baseline()
    return made


@pytest.fixture
def vendor(tmp_path: Path, first_vendor: Vendor) -> Vendor:
    return first_vendor.copied(tmp_path / "vendor")


@pytest.fixture
def server(vendor: Vendor) -> Iterator[WebServer]:
    made = WebServer(vendor.public)
    yield made
    made.close()


@pytest.fixture
def taker() -> Iterator[Taker]:
    """A server that takes reports."""
    made = Taker()
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, server: WebServer, vendor: Vendor) -> Iterator[Place]:
    made = Place(tmp_path / "device", server, vendor)
    made.put()
    yield made
    made.stop()
