from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor with a baseline and a published improvement, for refusals that change nothing."""
    made = Vendor(tmp_path_factory.mktemp("shop"))
    made.baseline()
    made.release()
    return made


@pytest.fixture
def advisory(tmp_path: Path) -> Path:
    """A fit advisory."""
    return write_advisory(tmp_path / "advisory.toml")


def write_advisory(
    path: Path, *, cves: str = '["CVE-2023-4863"]', component: str = "engine"
) -> Path:
    path.write_text(
        f"""\
title = "A security update"

[[fix]]
cves = {cves}
component = "{component}"
impact = "Opening a picture may run an attacker's code"
description = "A buffer overflow was addressed."
"""
    )
    return path


@pytest.fixture(scope="module")
def web(shop: Vendor) -> Iterator[WebServer]:
    """Serves the shop's repository, and misbehaves on demand."""
    made = WebServer(shop.public)
    yield made
    made.close()


@pytest.fixture(scope="module")
def enrolled(
    shop: Vendor, web: WebServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """A device that is enrolled with the shop and has checked once."""
    made = Place(tmp_path_factory.mktemp("device"), web, shop)
    made.put()
    made.enroll()
    made.device.check(None)
    yield made
    made.stop()
