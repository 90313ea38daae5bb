from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor

# On a busy machine, the duration of an example says nothing.
settings.register_profile("repoint", deadline=None)
settings.load_profile("repoint")


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    made.baseline()
    return made


@pytest.fixture
def server(vendor: Vendor) -> Iterator[WebServer]:
    made = WebServer(vendor.public)
    yield made
    made.close()


@pytest.fixture
def place(tmp_path: Path, server: WebServer, vendor: Vendor) -> Iterator[Place]:
    made = Place(tmp_path / "device", server, vendor)
    made.put()
    yield made
    made.stop()
