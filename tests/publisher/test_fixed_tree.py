"""The fixed tree of an improvement: what is read of a source, and what is refused."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.model.errors import RepointError
from repoint.publisher.baselines import ComponentSource, Release
from repoint.publisher.errors import NothingChangedError, UnfitChangeError
from repoint.publisher.improve import fixed_tree as module
from repoint.publisher.improve import layers
from repoint.publisher.improve.improve import BuiltImprovement
from repoint.publisher.ingest.errors import UnfitSourceError
from tests.world import NAME, Vendor, advisory, write_tree

FILES: dict[str, str | bytes] = {f"lib/{n}": f"file {n}\n" * 20 for n in range(20)}


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    source = write_tree(tmp_path / "old", {**FILES, "tool": "#!", "own": "#!"})
    (source / "own").chmod(0o4755)
    release = Release(made.product, NAME, (ComponentSource("engine", source),))
    made.publisher.add_baseline(release)
    return made


def fixed(tmp_path: Path) -> Path:
    """A copy of the baseline's source with one fix, to be changed further."""
    source = write_tree(tmp_path / "new", {**FILES, "lib/1": "fixed\n", "tool": "#!", "own": "#!"})
    (source / "own").chmod(0o4755)
    return source


def improved(vendor: Vendor, source: Path) -> BuiltImprovement:
    return vendor.improve_from({"engine": source}, advisory())


@pytest.mark.parametrize(
    ("path", "mode", "message"),
    [
        ("tool", 0o4755, "tool of engine is set-user-ID"),
        ("tool", 0o2755, "tool of engine is set-group-ID"),
        ("tool", 0o6755, "tool of engine is set-user-ID"),
        ("new", 0o4755, "new of engine is set-user-ID"),
        ("own", 0o6755, "own of engine is set-group-ID"),
        ("lib/1", 0o4644, "lib/1 of engine is set-user-ID"),
    ],
)
@pytest.mark.parametrize("kind", ["folder", "tar"])
def test_a_privilege_that_the_baseline_has_not_is_refused(
    vendor: Vendor, tmp_path: Path, kind: str, path: str, mode: int, message: str
) -> None:
    source = fixed(tmp_path)
    (source / path).touch()
    (source / path).chmod(mode)
    if kind == "tar":
        with tarfile.open(tmp_path / "new.tar", "w") as archive:
            archive.add(source, ".")
        source = tmp_path / "new.tar"
    with pytest.raises(UnfitChangeError, match=message):
        improved(vendor, source)
    assert not list((vendor.repository.path / "drafts").rglob("*"))


@pytest.mark.parametrize(
    ("change", "paths"),
    [
        (lambda root: (root / "own").chmod(0o755), {"lib/1", "own"}),
        (lambda root: (root / "own").write_text("#! fixed"), {"lib/1", "own"}),
        (lambda root: (root / "tool").chmod(0o755), {"lib/1", "tool"}),
        (lambda root: (root / "tool").chmod(0o666), {"lib/1"}),
        (lambda root: (root / "tool").chmod(0o600), {"lib/1", "tool"}),
        (lambda root: os.utime(root / "tool", (1, 1)), {"lib/1"}),
        (lambda root: (root / "lib").chmod(0o777), {"lib/1"}),
        (lambda root: (root / "lib").chmod(0o1777), {"lib/1", "lib"}),
        (lambda root: (root / "own").rename(root / "moved"), None),
    ],
    ids=["lost", "fixed", "executable", "writable by all", "private", "time", "folder writable by all",
         "sticky", "renamed"],
)  # fmt: skip
def test_modes_are_compared_without_write_bits_and_times_not_at_all(
    vendor: Vendor, tmp_path: Path, change: Callable[[Path], object], paths: set[str] | None
) -> None:
    source = fixed(tmp_path)
    change(source)
    if paths is None:
        with pytest.raises(UnfitChangeError, match="moved of engine is set-user-ID"):
            improved(vendor, source)
        return
    layer = improved(vendor, source).layers["engine"].layer
    assert {change.entry.path for change in layer.changes} == paths


@pytest.mark.parametrize("change", ["time", "write bits"])
def test_a_change_that_no_seal_covers_is_no_change(
    vendor: Vendor, tmp_path: Path, change: str
) -> None:
    source = fixed(tmp_path)
    (source / "lib/1").write_text(str(FILES["lib/1"]))
    if change == "time":
        os.utime(source / "tool", (1, 1))
    else:
        (source / "tool").chmod(0o666)
    with pytest.raises(NothingChangedError):
        improved(vendor, source)


def test_only_the_files_that_differ_are_copied_from_a_folder(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copied: list[str] = []
    copy = module._copy

    def recording(source: Path, target: Path) -> None:
        copied.append(source.name)
        copy(source, target)

    monkeypatch.setattr(module, "_copy", recording)
    improved(vendor, fixed(tmp_path))
    assert copied == ["1"]


def test_a_folder_that_changes_while_it_is_read_is_refused(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def changing(source: Path, target: Path) -> None:
        target.write_text("something else")

    monkeypatch.setattr(module, "_copy", changing)
    with pytest.raises(UnfitSourceError, match="changed while it was read"):
        improved(vendor, fixed(tmp_path))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda root: os.mkfifo(root / "pipe"), "device, socket or pipe"),
        (lambda root: (root / "out").symlink_to("../out"), "leads out of the tree"),
        (lambda root: (root / "out").symlink_to("/etc"), "leads out of the tree"),
        (lambda root: [(root / "a").symlink_to("."), (root / "b").symlink_to("a/../..")],
         "leads out of the tree"),
        (lambda root: (root / "\udcff").mkdir(), "not valid UTF-8"),
    ],
)  # fmt: skip
def test_a_folder_with_what_no_tree_has_is_refused(
    vendor: Vendor, tmp_path: Path, spoil: Callable[[Path], object], message: str
) -> None:
    source = fixed(tmp_path)
    spoil(source)
    with pytest.raises(RepointError, match=message):
        improved(vendor, source)


def test_an_empty_folder_is_no_fixed_component(vendor: Vendor, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(UnfitSourceError, match="contains no file"):
        improved(vendor, tmp_path / "empty")


def test_of_very_many_old_files_the_likeliest_are_looked_at(
    vendor: Vendor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "_MOST_SOURCES", 1)
    source = fixed(tmp_path)
    (source / "lib/7").rename(source / "lib/7-new")
    (source / "lib/7-new").write_text(str(FILES["lib/7"]) + "and more\n")
    assert improved(vendor, source).layers["engine"].renamed == {"lib/7-new": "lib/7"}
