from __future__ import annotations

import json
import os
from pathlib import Path

from tests.cli.command import refusal, repoint, works
from tests.world import FIXED, OLD, big, write_tree

VECTORS = Path(__file__).parents[1] / "delta" / "vectors"


def test_explain_shows_where_the_bytes_of_a_patch_go(tmp_path: Path) -> None:
    old, new, patch = write_tree(tmp_path / "old", OLD), tmp_path / "new", tmp_path / "patch"
    write_tree(new, FIXED)
    works("delta", "diff", old, new, patch)
    explained = json.loads(works("delta", "explain", patch, "--json"))
    assert {file["name"] for file in explained} == {"lib/engine.so", "main.py", "late.py"}
    assert all(0 < file["length"] < 200 for file in explained)
    shown = works("delta", "explain", patch)
    assert "lib/engine.so" in shown
    assert "zstd" in shown


def test_explain_shows_the_parts_of_a_file_that_holds_others(tmp_path: Path) -> None:
    old, new = (VECTORS / "members" / f"wheel.{age}" for age in ("old", "new"))
    works("delta", "diff", old, new, tmp_path / "patch")
    (explained,) = json.loads(works("delta", "explain", tmp_path / "patch", "--json"))
    assert explained["codec"] == "members"
    assert explained["parts"][0]["members"] == 0
    assert "elf" in {part["codec"] for part in explained["parts"]}
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


def test_links_to_folders_are_followed_and_an_old_patch_is_kept(tmp_path: Path) -> None:
    write_tree(tmp_path / "old", OLD)
    write_tree(tmp_path / "fixed", FIXED)
    (tmp_path / "was").symlink_to("old")
    (tmp_path / "is").symlink_to("fixed")
    patch = tmp_path / "patch"
    works("delta", "diff", tmp_path / "was", tmp_path / "is", patch)
    works("delta", "apply", tmp_path / "was", patch, tmp_path / "new")
    assert (tmp_path / "new/main.py").read_text() == FIXED["main.py"]
    refusal(repoint("delta", "diff", tmp_path / "was", tmp_path / "is", patch), "--force")
    works("delta", "diff", tmp_path / "was", tmp_path / "is", patch, "--force")


def test_a_patch_for_another_file_says_so(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(big(1))
    (tmp_path / "new").write_bytes(big(1) + b"more")
    (tmp_path / "other").write_bytes(big(2))
    works("delta", "diff", tmp_path / "old", tmp_path / "new", tmp_path / "patch")
    answer = repoint("delta", "apply", tmp_path / "other", tmp_path / "patch", tmp_path / "made")
    refusal(answer, f"patch does not fit {tmp_path / 'other'}", "Name the file that it was made")
    assert not (tmp_path / "made").exists()
