"""Trees of many files, which are built by several threads."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree
from repoint.tree.verify import verify_tree


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("large") / "tree"
    for number in range(4200):
        folder = root / f"d{number % 7}" / f"e{number // 100}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"f{number}").write_text(f"{number}\n")
    (root / "d1/link").symlink_to("e0")
    (root / "empty").mkdir()
    (root / "run").write_text("#!/bin/sh\n")
    (root / "run").chmod(0o755)
    return root


def test_a_large_tree_is_built_as_a_small_one(tmp_path: Path, source: Path) -> None:
    entries = scan_tree(source)
    build_tree(tmp_path / "new", entries, TreeFiles.copied_from(source, entries))
    verify_tree(tmp_path / "new", entries, seal_of(entries))
    before = (source / "d0/e0/f0").stat()
    after = (tmp_path / "new/d0/e0/f0").stat()
    assert (after.st_mtime_ns, after.st_mode & 0o7777) == (before.st_mtime_ns, 0o444)


def test_an_error_in_a_large_tree_names_the_path(tmp_path: Path, source: Path) -> None:
    entries = scan_tree(source)
    files = TreeFiles.copied_from(source, entries)
    other = {**files.reused, "d3/e20/f2005": "d3/e20/gone"}
    assert len(other) == len(files.reused), "the file exists"
    with pytest.raises(FileNotFoundError) as failed:
        build_tree(tmp_path / "new", entries, TreeFiles({}, source, other, share=False))
    assert "f2005" in str(failed.value.filename)
