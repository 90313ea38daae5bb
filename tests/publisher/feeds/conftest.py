"""What the world is told by one vendor, for tests that only read it."""

from __future__ import annotations

import pytest

from tests.publisher.feeds.support import Told, vendor_of_all_states


@pytest.fixture(scope="session")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    return Told(vendor_of_all_states(tmp_path_factory.mktemp("told")))
