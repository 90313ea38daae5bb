from __future__ import annotations

import json
import os
from pathlib import Path

from tests.cli.command import refusal, repoint, works
from tests.world import FIXED, OLD, write_tree

VECTORS = Path(__file__).parents[1] / "delta" / "vectors"


def test_explain_shows_where_the_bytes_of_a_patch_go(tmp_path: Path) -> None:
    old, new, patch = write_tree(tmp_path / "old", OLD), tmp_path / "new", tmp_path / "patch"
    write_tree(new, FIXED)
    works("delta", "diff", old, new, patch)
    said = json.loads(works("delta", "explain", patch, "--json"))
    assert {file["name"] for file in said} == {"lib/engine.so", "main.py", "late.py"}
    assert all(0 < file["length"] < 200 for file in said)
    shown = works("delta", "explain", patch)
    assert "lib/engine.so" in shown
    assert "zstd" in shown


def test_explain_shows_the_parts_of_a_file_that_holds_others(tmp_path: Path) -> None:
    old, new = (VECTORS / "members" / f"wheel.{age}" for age in ("old", "new"))
    works("delta", "diff", old, new, tmp_path / "patch")
    (said,) = json.loads(works("delta", "explain", tmp_path / "patch", "--json"))
    assert said["codec"] == "members"
    assert said["parts"][0]["members"] == 0
    assert "elf" in {part["codec"] for part in said["parts"]}
    assert "all between changed members" in works("delta", "explain", tmp_path / "patch")


def test_explain_refuses_what_is_no_patch(tmp_path: Path) -> None:
    (tmp_path / "patch").write_bytes(b"no patch at all")
    refusal(repoint("delta", "explain", tmp_path / "patch"), "not a Repoint patch")


def test_diff_never_replaces_what_is_not_a_regular_file(tmp_path: Path) -> None:
    old, new, pipe = tmp_path / "old", tmp_path / "new", tmp_path / "pipe"
    old.write_bytes(b"a" * 100)
    new.write_bytes(b"b" * 100)
    os.mkfifo(pipe)
    refusal(repoint("delta", "diff", old, new, pipe), f"{pipe} is not a regular file")
    assert pipe.is_fifo()
