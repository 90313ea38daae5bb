"""What a component of a baseline may say."""

from __future__ import annotations

import pytest

from repoint.model.baseline import Component
from repoint.model.errors import InvalidRecordError


def test_a_health_check_that_no_program_can_be_given_is_refused() -> None:
    with pytest.raises(InvalidRecordError, match="health check of engine contains a NUL"):
        Component(name="engine", seal="0" * 64, entries=(), health=("true", "\0"))
