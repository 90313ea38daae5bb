import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from repoint.fs.removal import make_writable, remove_tree
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Change, Entry, Kind, Layer
from repoint.tree.build import TreeFiles, build_tree, files_in
from repoint.tree.compare import apply_layer, check_entries, compare_trees, make_layer
from repoint.tree.digest import seal_of
from repoint.tree.errors import SealMismatchError, UnfitTreeError
from repoint.tree.scan import scan_tree
from repoint.tree.verify import verify_tree


def make(root: Path, files: Mapping[str, str | bytes]) -> Path:
    for path, content in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.encode() if isinstance(content, str) else content)
    return root


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = make(tmp_path / "tree", {"bin/tool": "#!", "lib/a.so": "aaa", "lib/b.so": "bbb"})
    (root / "bin/tool").chmod(0o755)
    (root / "lib/link.so").symlink_to("a.so")
    return root


def test_the_seal_of_a_known_tree_never_changes(tmp_path: Path) -> None:
    root = make(tmp_path / "t", {"a": "hello\n", "d/b": ""})
    (root / "a").chmod(0o755)
    (root / "d").chmod(0o755)
    (root / "d/b").chmod(0o644)
    (root / "c").symlink_to("a")
    assert seal_of(scan_tree(root)) == (
        "7115d0ece7d959af4054522e00813c0cb037c968234894da2b21f5c769716097"
    )


def test_a_copy_has_the_same_seal_wherever_it_stands(tree: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere" / "copy"
    shutil.copytree(tree, copy, symlinks=True)
    os.utime(copy / "lib/a.so", (1, 1))
    assert seal_of(scan_tree(copy)) == seal_of(scan_tree(tree))


def test_write_permission_does_not_matter_because_sealed_trees_have_none(tree: Path) -> None:
    before = seal_of(scan_tree(tree))
    (tree / "lib/a.so").chmod(0o444)
    assert seal_of(scan_tree(tree)) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda t: (t / "lib/a.so").write_text("aab"),
        lambda t: (t / "lib/a.so").chmod(0o755),
        lambda t: (t / "lib/a.so").chmod(0o4644),
        lambda t: (t / "lib/a.so").rename(t / "lib/c.so"),
        lambda t: (t / "lib/b.so").unlink(),
        lambda t: (t / "new").write_text(""),
        lambda t: (t / "empty").mkdir(),
        lambda t: ((t / "lib/link.so").unlink(), (t / "lib/link.so").symlink_to("b.so")),
        lambda t: ((t / "lib/b.so").unlink(), (t / "lib/b.so").symlink_to("a.so")),
        lambda t: (t / "lib").chmod(0o700),
    ],
)
def test_any_change_changes_the_seal(tree: Path, change: Callable[[Path], object]) -> None:
    before = seal_of(scan_tree(tree))
    change(tree)
    assert seal_of(scan_tree(tree)) != before


def test_bytecode_beside_the_code_does_not_break_the_seal(tree: Path) -> None:
    before = seal_of(scan_tree(tree))
    make(tree, {"lib/__pycache__/a.pyc": "x", "__pycache__/b.pyc": "y"})
    assert seal_of(scan_tree(tree)) == before


def test_what_the_vendor_says_programs_write_is_left_out(tree: Path) -> None:
    before = seal_of(scan_tree(tree))
    make(tree, {"lib/cache/x/y": "1", "debug.log": "2"})
    assert seal_of(scan_tree(tree, ignore=("*.log", "lib/cache"))) == before


def test_a_link_out_of_the_tree_a_pipe_and_a_socket_cannot_be_sealed(tree: Path) -> None:
    (tree / "out").symlink_to("/etc/passwd")
    with pytest.raises(UnfitTreeError, match="leads out of the tree"):
        scan_tree(tree)
    (tree / "out").unlink()
    os.mkfifo(tree / "pipe")
    with pytest.raises(UnfitTreeError, match="pipe"):
        scan_tree(tree)


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnfitTreeError, match="is not a folder"):
        scan_tree(tmp_path / "nothing")


def test_a_file_name_that_is_not_utf8_is_refused_not_mangled(tree: Path) -> None:
    (tree / os.fsdecode(b"bad\xff")).write_text("")
    with pytest.raises(UnfitTreeError, match="UTF-8"):
        scan_tree(tree)


def test_verify_lists_what_differs(tree: Path) -> None:
    entries = scan_tree(tree)
    (tree / "lib/a.so").write_text("other")
    (tree / "extra").write_text("")
    with pytest.raises(SealMismatchError) as caught:
        verify_tree(tree, entries, seal_of(entries))
    assert {(d.path, d.how) for d in caught.value.differences} == {
        ("lib/a.so", "content"),
        ("extra", "added"),
    }


names = st.sampled_from(["a", "b", "c", "d"])
contents = st.sampled_from(["", "x", "yy", "z" * 100])
trees = st.dictionaries(st.lists(names, min_size=1, max_size=3).map("/".join), contents)


def _fits(files: dict[str, str]) -> bool:
    return not any(a.startswith(b + "/") for a in files for b in files)


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None,
          max_examples=60)  # fmt: skip
@given(trees.filter(_fits), trees.filter(_fits))
def test_a_layer_turns_one_tree_into_the_other_and_building_it_gives_its_seal(
    tmp_path: Path, old: dict[str, str], new: dict[str, str]
) -> None:
    for name in ("old", "new", "made", "built"):
        remove_tree(tmp_path / name)
    for name, files in (("old", old), ("new", new)):
        (tmp_path / name).mkdir()
        make(tmp_path / name, files)
    before, after = scan_tree(tmp_path / "old"), scan_tree(tmp_path / "new")
    layer = make_layer(before, after, {})
    assert apply_layer(before, layer) == after
    changed = {c.entry.path for c in layer.changes if c.entry.kind == "file"}
    new_files = {path: tmp_path / "new" / path for path in changed}
    built = TreeFiles(new_files, tmp_path / "old", files_in(before), modified=5, share=False)
    build_tree(tmp_path / "built", after, built)
    assert seal_of(scan_tree(tmp_path / "built")) == seal_of(after)


def test_a_built_tree_is_read_only_and_shares_unchanged_files(tree: Path, tmp_path: Path) -> None:
    entries = scan_tree(tree)
    for path in ("lib/a.so", "lib/b.so"):
        (tree / path).chmod(0o444)
    (tree / "bin/tool").chmod(0o555)
    build_tree(tmp_path / "built", entries, TreeFiles({}, tree, files_in(entries)))
    built = tmp_path / "built"
    assert not any(p.lstat().st_mode & 0o222 for p in built.rglob("*") if not p.is_symlink())
    same = (built / "lib/a.so").stat().st_ino == (tree / "lib/a.so").stat().st_ino
    assert same or (built / "lib/a.so").stat().st_nlink == 1  # or blocks are shared
    make_writable(built)
    assert (built / "lib").stat().st_mode & 0o200


def entry(path: str, kind: Kind = "file") -> Entry:
    if kind == "file":
        return Entry(path=path, kind="file", mode=0o444, sha256="0" * 64)
    return Entry(path=path, kind=kind, mode=0o555)


@pytest.mark.parametrize(
    "layer",
    [
        Layer(changes=(), removed=("nothing",)),
        Layer(changes=(Change(entry("lib/a")), Change(entry("lib/a"))), removed=()),
        Layer(changes=(Change(entry("lib/a")),), removed=("lib/a",)),
        Layer(changes=(Change(entry("lib/a/below")),), removed=()),
        Layer(changes=(Change(entry("nowhere/x")),), removed=()),
        Layer(changes=(Change(entry("x"), source="nothing"),), removed=()),
        Layer(changes=(Change(entry("x"), source="lib"),), removed=()),
        Layer(changes=(), removed=("lib",)),
    ],
)
def test_a_layer_that_does_not_fit_the_baseline_is_refused(layer: Layer) -> None:
    with pytest.raises(InvalidRecordError):
        apply_layer([entry("lib", "folder"), entry("lib/a")], layer)


def test_a_path_below_a_link_is_refused() -> None:
    link = Entry(path="lib", kind="link", target="other")
    with pytest.raises(InvalidRecordError, match="not a folder"):
        check_entries([link, entry("lib/a")])


def test_links_that_lead_out_by_way_of_others_are_refused() -> None:
    up = Entry(path="a/up", kind="link", target="..")
    out = Entry(path="b", kind="link", target="a/up/..")
    with pytest.raises(InvalidRecordError, match="through other links"):
        check_entries([entry("a", "folder"), up, out])


def test_differences_are_described_in_words() -> None:
    old = [entry("a"), entry("b")]
    new = [entry("b"), entry("c")]
    assert [str(d) for d in compare_trees(old, new)] == [
        "a is missing",
        "c is unexpected",
    ]
