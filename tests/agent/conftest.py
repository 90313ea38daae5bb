from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.agent.buses import Bus


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[Bus]:
    folder = tmp_path / "bus"
    folder.mkdir()
    made = Bus(folder)
    yield made
    made.close()
