"""A rename that replaces nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.fs.exchange import rename_new


def test_a_folder_gets_a_new_name(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    rename_new(tmp_path / "source", tmp_path / "target")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.parametrize("content", ["", "file"])
def test_a_folder_that_exists_stays_the_same_folder(tmp_path: Path, content: str) -> None:
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    if content:
        (tmp_path / "target" / content).touch()
    number = (tmp_path / "target").stat().st_ino
    with pytest.raises(FileExistsError, match="target"):
        rename_new(tmp_path / "source", tmp_path / "target")
    assert (tmp_path / "target").stat().st_ino == number
    assert (tmp_path / "source").is_dir()


def test_a_missing_source_is_named_as_such(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        rename_new(tmp_path / "source", tmp_path / "target")
