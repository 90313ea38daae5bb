"""A CVE id that a letter has renamed is one fix with its new name."""

from __future__ import annotations

import pytest

from repoint.model.renamed_ids import current_ids

W, X, Y, Z = "CVE-2026-0001", "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"


@pytest.mark.parametrize(
    ("renamings", "current"),
    [
        pytest.param([], {}, id="nothing was renamed"),
        pytest.param([{}, {X: Y}], {X: Y}, id="one letter renames"),
        pytest.param([{X: Y}, {Y: Z}], {X: Z, Y: Z}, id="a corrected id is corrected again"),
        pytest.param([{X: Y}, {X: Z}], {X: Z}, id="the later letter counts"),
        pytest.param([{X: Y}, {Y: X}], {X: X, Y: X}, id="a correction is taken back"),
        pytest.param([{Z: Y, Y: X, X: Y}], {X: X, Y: X, Z: X}, id="an id that leads to a circle"),
        pytest.param([{W: W}], {W: W}, id="an id that is renamed to itself"),
    ],
)
def test_the_current_id_of_each_renamed_one(
    renamings: list[dict[str, str]], current: dict[str, str]
) -> None:
    assert current_ids(renamings) == current
