"""What the tests of the device share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.middlebox import Behaviour, Middlebox
from tests.places import MAPS_A_LIBRARY, Place, wait_for
from tests.world import Vendor

__all__ = ["MAPS_A_LIBRARY", "Place", "wait_for"]


@pytest.fixture
def improved(place: Place, vendor: Vendor) -> Place:
    """A device with an improvement in force."""
    place.enroll()
    vendor.release()
    place.update()
    return place


@pytest.fixture
def serve(folder: Path) -> Iterator[Callable[[Behaviour], Middlebox]]:
    """Start servers of the files in `folder`, a fixture of the test's own module."""
    made: list[Middlebox] = []

    def start(behaviour: Behaviour) -> Middlebox:
        made.append(Middlebox(folder, behaviour))
        return made[-1]

    yield start
    for server in made:
        server.close()
