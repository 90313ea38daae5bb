from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.delta.similar import best_sources, plain_name, similarity, sketch

Trees = tuple[dict[str, Path], dict[str, Path], dict[str, str]]
"""Old files, new files, and the old file for each new one."""


@pytest.fixture
def trees(
    tmp_path: Path, make_binary: Callable[..., bytes], make_patched: Callable[..., bytes]
) -> Trees:
    """Return old and new libraries whose names have other hashes after a rebuild."""
    old, new, expected = {}, {}, {}
    for i, name in enumerate(["webp", "webpdemux", "webpmux", "tiff", "png16"]):
        before = make_binary(i, 30_000 + 9_000 * i)
        old_name, new_name = (
            f"libs/lib{name}-8b6d894{i}.so.7.1.7",
            f"libs/lib{name}-850e2be{i}.so.7.1.8",
        )
        old[old_name] = tmp_path / f"{i}.old"
        new[new_name] = tmp_path / f"{i}.new"
        old[old_name].write_bytes(before)
        new[new_name].write_bytes(make_patched(before))
        expected[new_name] = old_name
    return old, new, expected


def test_renamed_libraries_find_their_predecessors(
    trees: Trees,
) -> None:
    old, new, expected = trees
    assert best_sources(new, old) == expected


def test_a_file_that_resembles_none_has_no_source(trees: Trees, tmp_path: Path) -> None:
    old, _, _ = trees
    (tmp_path / "other").write_bytes(random.Random(7).randbytes(50_000))
    assert best_sources({"other": tmp_path / "other"}, old) == {}


def test_of_two_equal_files_the_one_with_the_closer_name_is_the_source(
    tmp_path: Path, make_binary: Callable[..., bytes]
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(make_binary(1))
    old = {"doc/LICENSE": tmp_path / "a", "libwebp-11111111.so.1": tmp_path / "b"}
    assert best_sources({"libwebp-22222222.so.2": tmp_path / "c"}, old) == {
        "libwebp-22222222.so.2": "libwebp-11111111.so.1"
    }


def test_tiny_files_are_paired_by_name_and_empty_ones_have_no_source(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"1.0.0\n")
    (tmp_path / "two").write_bytes(b"1.0.1\n")
    (tmp_path / "none").write_bytes(b"")
    old = {"pkg/VERSION": tmp_path / "one", "pkg/zip-safe": tmp_path / "none"}
    new = {"pkg/VERSION": tmp_path / "two", "pkg/zip-safe": tmp_path / "none"}
    assert best_sources(new, old) == {"pkg/VERSION": "pkg/VERSION"}


def test_similarity_is_one_for_equal_files_and_zero_for_unrelated_ones(
    tmp_path: Path, make_binary: Callable[..., bytes]
) -> None:
    rng = random.Random(2)
    (tmp_path / "a").write_bytes(make_binary(1))
    (tmp_path / "b").write_bytes(rng.randbytes(40_000))
    (tmp_path / "half").write_bytes(make_binary(1)[:20_000] + rng.randbytes(20_000))
    (tmp_path / "empty").write_bytes(b"")
    assert similarity(tmp_path / "a", tmp_path / "a") == 1.0
    assert similarity(tmp_path / "a", tmp_path / "b") == 0.0
    assert 0.3 < similarity(tmp_path / "half", tmp_path / "a") < 0.6
    assert similarity(tmp_path / "empty", tmp_path / "a") == 0.0
    assert similarity(tmp_path / "a", tmp_path / "empty") == 0.0


def test_files_of_very_different_sizes_can_be_compared(tmp_path: Path) -> None:
    whole = random.Random(3).randbytes(3_000_000)
    (tmp_path / "whole").write_bytes(whole)
    (tmp_path / "part").write_bytes(whole[700_001:1_100_000])
    assert similarity(tmp_path / "part", tmp_path / "whole") > 0.95
    assert similarity(tmp_path / "whole", tmp_path / "part") == pytest.approx(0.133, abs=0.03)


def test_a_sketch_does_not_depend_on_chunks_and_stays_small(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_bytes(random.Random(4).randbytes(300_003))
    whole = sketch(tmp_path / "a")
    monkeypatch.setattr("repoint.delta.similar._CHUNK", 1009)
    parts = sketch(tmp_path / "a")
    assert whole.limit == parts.limit
    assert whole.hashes.tolist() == parts.hashes.tolist()
    assert 4_000 < len(whole.hashes) < 40_000


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("libs/libwebp-8b6d8948.so.7.1.7", "libs/libwebp.so.7.1.7"),
        ("static/main.0123abcdef.js", "static/main.js"),
        ("lib/libssl.so.3", "lib/libssl.so.3"),
        ("share/feedbeef/x-decade.txt", "share/feedbeef/x-decade.txt"),
    ],
)
def test_content_hashes_in_names_are_ignored(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_without_old_files_there_are_no_sources(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"something new")
    assert best_sources({"a": tmp_path / "a"}, {}) == {}
    assert best_sources({}, {"a": tmp_path / "a"}) == {}
