"""Copies of files: content, holes, mode and times, and nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repoint.fs.clone import copy_file

MEGABYTE = 1 << 20


@pytest.mark.parametrize(
    ("size", "written"),
    [
        pytest.param(0, {}, id="empty"),
        pytest.param(5, {0: b"hello"}, id="small"),
        pytest.param(3 * MEGABYTE + 7, {0: b"x" * (3 * MEGABYTE + 7)}, id="without holes"),
        pytest.param(64 * MEGABYTE, {}, id="only a hole"),
        pytest.param(64 * MEGABYTE, {0: b"begin"}, id="hole at the end"),
        pytest.param(64 * MEGABYTE, {64 * MEGABYTE - 3: b"end"}, id="hole at the beginning"),
        pytest.param(64 * MEGABYTE, {5_000_000: b"a", 9_000_000: b"b"}, id="several holes"),
    ],
)
def test_content_and_holes_are_kept(tmp_path: Path, size: int, written: dict[int, bytes]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    with source.open("wb") as file:
        for place, data in written.items():
            os.pwrite(file.fileno(), data, place)
        file.truncate(size)
    copy_file(source, target)
    assert target.stat().st_size == size
    assert target.read_bytes() == source.read_bytes()
    assert target.stat().st_blocks <= source.stat().st_blocks + 64


def test_mode_and_times_are_copied_and_extended_attributes_are_not(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_text("x")
    source.chmod(0o4751)
    os.setxattr(source, "user.note", b"private")
    os.utime(source, ns=(1_000_000_001, 2_000_000_002))
    copy_file(source, target)
    assert target.stat().st_mode == source.stat().st_mode
    assert target.stat().st_mtime_ns == 2_000_000_002
    assert os.listxattr(target) == []
