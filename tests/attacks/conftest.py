from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.attacks.mirror import Mirror
from tests.cli.command import everything
from tests.places import Place
from tests.world import Vendor


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    """A vendor that has published one improvement."""
    made = Vendor(tmp_path / "vendor")
    made.baseline()
    made.release()
    return made


@pytest.fixture
def take_over(place: Place, vendor: Vendor, tmp_path: Path) -> Callable[..., Mirror]:
    """Put a mirror with stolen keys in the place of the repository."""

    def take(*stolen: str) -> Mirror:
        mirror = Mirror(vendor, tmp_path / "mirror", stolen)
        place.server.folder = mirror.folder
        return mirror

    return take


@pytest.fixture
def unharmed(place: Place) -> Callable[[], None]:
    """Tells that what runs is what ran, and that nothing waits."""

    def check() -> None:
        assert everything(place.graft.resolve()) == before
        assert place.device.status(None).staged == ""
        assert "evil" not in place.text()

    place.enroll()
    before = everything(place.graft.resolve())
    return check
