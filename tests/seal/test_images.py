"""Images of layers, held against the system's own tools and the kernel."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from repoint.image.erofs import BLOCK, FIRST, LAST_FIRST, SLOT, Image, Node
from repoint.image.layer_image import Overlay, layer_image
from repoint.image.verity import HashTree
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.tree.scan import scan_tree
from tests.seal.images import CREATED, IDENTITY, mounted, tool, trees, write
from tests.world import write_tree

FOLDER = Node(stat.S_IFDIR | 0o755)


def file(content: bytes, mode: int = 0o444) -> Node:
    return Node(stat.S_IFREG | mode, len(content), content)


def image(nodes: dict[str, Node], **more: int) -> Image:
    return Image(nodes, created=CREATED, identity=IDENTITY, **more)


def shows(place: Path, made: Image) -> None:
    """The kernel shows just what the image should hold."""
    seen = {""}
    for folder, below, files in os.walk(place):
        seen |= {str(Path(folder, name).relative_to(place)) for name in (*below, *files)}
    assert seen == made.nodes.keys()
    for path, node in made.nodes.items():
        where = place / path
        status = where.lstat()
        assert status.st_mode == node.mode, path
        assert (status.st_uid, status.st_gid, status.st_mtime) == (0, 0, CREATED)
        assert status.st_ino == made.numbers[path]
        if stat.S_ISREG(node.mode):
            assert where.read_bytes() == node.content
        elif stat.S_ISLNK(node.mode):
            assert str(where.readlink()) == node.target
        elif stat.S_ISCHR(node.mode):
            assert status.st_rdev == 0
        else:
            folders = [n for n in where.iterdir() if n.is_dir() and not n.is_symlink()]
            assert status.st_nlink == 2 + len(folders)


@pytest.mark.slow
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_the_systems_tools_find_no_fault_with_an_image(nodes: dict[str, Node]) -> None:
    fsck, veritysetup = tool("fsck.erofs"), tool("veritysetup")
    with tempfile.TemporaryDirectory() as folder:
        raw, beside, root_hash = write(image(nodes), Path(folder))
        assert raw.stat().st_size == image(nodes).size
        subprocess.run([fsck, str(raw)], check=True, capture_output=True)
        command = [veritysetup, "verify", str(raw), str(beside), root_hash]
        subprocess.run(command, check=True, capture_output=True)


@pytest.mark.slow
@settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
@given(trees())
def test_the_kernel_shows_what_an_image_should_hold(nodes: dict[str, Node]) -> None:
    made = image(nodes)
    with tempfile.TemporaryDirectory() as folder:
        raw, _, _ = write(made, Path(folder))
        with mounted(raw) as place:
            shows(place, made)


def test_a_folder_of_many_blocks_shows_all_its_names(tmp_path: Path) -> None:
    nodes = {"d": FOLDER, "d/-first": file(b"x"), "d/!": file(b"")}
    nodes |= {f"d/{'n' * (n % 240)}{n}": file(b"") for n in range(3_000)}
    made = image(nodes)
    raw, _, _ = write(made, tmp_path)
    subprocess.run([tool("fsck.erofs"), str(raw)], check=True, capture_output=True)
    with mounted(raw) as place:
        shows(place, made)


def test_a_file_of_more_than_four_gigabytes_has_its_size(tmp_path: Path) -> None:
    size = (1 << 32) + 5
    made = image({"big": Node(stat.S_IFREG | 0o444, size), "small": file(b"small")})
    raw = tmp_path / "layer.raw"
    with raw.open("wb") as written:  # its content is one hole
        chunks = made.chunks()
        head = made._data * BLOCK  # the inodes; then comes what the root holds
        while written.tell() <= head:
            written.write(next(chunks))
        written.truncate(made.size)
    with mounted(raw) as place:
        assert (place / "big").stat().st_size == size
        assert (place / "big").stat().st_mtime == CREATED
        assert made.numbers["small"] == made.numbers["big"] + 2


def test_the_same_content_gives_the_same_bytes_in_every_version() -> None:
    """Every device makes the image anew: were this to change, none could install any more."""
    nodes = {
        "usr": FOLDER,
        "usr/lib": Node(stat.S_IFDIR | 0o2755),
        "usr/lib/libcodec.so.1": Node(stat.S_IFLNK | 0o777, target="libcodec.so.1.2"),
        "usr/lib/libcodec.so.1.2": file(bytes(range(256)) * 20, 0o555),
        "usr/lib/libplugin.so": Node(stat.S_IFCHR),
    }
    digest, tree = hashlib.sha256(), HashTree()
    for chunk in image(nodes, first=100).chunks():
        digest.update(chunk)
        tree.update(chunk)
    assert digest.hexdigest() == "0727e9443acb477b59957fcf7997f03b632bfe24b4e779ea31495d2801b62f76"
    assert tree.root_hash == "a8b83c058fd3d80c518a02b90f72f13c5ef1070a390ed905e839ffc0f6bdfcac"
    assert (
        hashlib.sha256(tree.file(IDENTITY)).hexdigest()
        == "06d7f8cf13423575539dec7b615a99e0773a353f8e410ec75d59163121f53d61"
    )


@pytest.mark.slow
def test_a_hash_tree_of_any_height_is_the_kernels(tmp_path: Path) -> None:
    veritysetup = tool("veritysetup")
    for blocks in (1, 2, 127, 128, 129, 128 * 128, 128 * 128 + 1):
        data = b"".join(n.to_bytes(4, "big") * (BLOCK // 4) for n in range(blocks))
        tree = HashTree()
        tree.update(data)
        (tmp_path / "data").write_bytes(data)
        (tmp_path / "tree").write_bytes(tree.file(IDENTITY))
        command = [veritysetup, "verify", str(tmp_path / "data"), str(tmp_path / "tree")]
        subprocess.run([*command, tree.root_hash], check=True, capture_output=True)
        # And that it would have been noticed.
        with pytest.raises(subprocess.CalledProcessError):
            subprocess.run([*command, "0" * 64], check=True, capture_output=True)


def test_the_numbers_of_two_images_need_not_meet() -> None:
    nodes = {"usr": FOLDER, "usr/a": file(b"1"), "usr/b": file(b"2")}
    one = image(nodes)
    other = image(nodes, first=one.end)
    assert one.numbers["usr"] == FIRST
    assert set(one.numbers.values()) & set(other.numbers.values()) == {one.numbers[""]}
    assert other.size == one.size
    assert image(nodes, first=FIRST + BLOCK // SLOT).size == one.size + BLOCK


@pytest.mark.parametrize("first", [FIRST, 126, 127, 128, 255, 256, 50_000, LAST_FIRST])
def test_an_image_may_begin_with_any_number(tmp_path: Path, first: int) -> None:
    made = image({"usr": FOLDER, "usr/a": file(b"1")}, first=first)
    raw, _, _ = write(made, tmp_path)
    assert raw.stat().st_size == made.size
    subprocess.run([tool("fsck.erofs"), str(raw)], check=True, capture_output=True)
    with mounted(raw) as place:
        shows(place, made)


@pytest.mark.parametrize("first", [FIRST - 1, 0, -1, LAST_FIRST + 1, 1 << 40])
def test_an_image_may_not_begin_anywhere_else(first: int) -> None:
    with pytest.raises(InvalidRecordError):
        image({}, first=first)


@pytest.mark.parametrize(
    "nodes",
    [
        {"usr/lib": FOLDER},
        {"usr": file(b""), "usr/lib": file(b"")},
        {"n" * 256: file(b"")},
        {"link": Node(stat.S_IFLNK | 0o777, target="t" * 4096)},
        {"link": Node(stat.S_IFLNK | 0o777)},
        {"a": FOLDER, "a/..": FOLDER},
        {"a": FOLDER, "a/": FOLDER},
        {"huge": Node(stat.S_IFREG | 0o444, 1 << 45)},
    ],
)
def test_what_cannot_stand_in_an_image_is_refused(nodes: dict[str, Node]) -> None:
    with pytest.raises(InvalidRecordError):
        image(nodes)


@pytest.mark.parametrize("created", [-1, 1 << 63, 1 << 70])
def test_a_time_that_no_image_can_have_is_refused(created: int) -> None:
    with pytest.raises(InvalidRecordError):
        Image({}, created=created, identity=IDENTITY)


@pytest.mark.parametrize("length", [0, 10, BLOCK, 2 * BLOCK + 1, 300 * BLOCK])
def test_a_file_that_changed_its_length_is_refused(tmp_path: Path, length: int) -> None:
    (tmp_path / "file").write_bytes(bytes(length))
    made = image({"file": Node(stat.S_IFREG | 0o444, 2 * BLOCK, tmp_path / "file")})
    with pytest.raises(InvalidRecordError, match="expected length"):
        list(made.chunks())


def over(tmp_path: Path, before: dict[str, bytes], after: dict[str, bytes]) -> Overlay:
    old = write_tree(tmp_path / "old", dict(before))
    new = write_tree(tmp_path / "new", dict(after))
    return Overlay(scan_tree(old), scan_tree(new), lambda path: new / path)


def test_an_image_holds_what_changes_and_hides_what_is_gone(tmp_path: Path) -> None:
    before = {"usr/lib/a": b"1", "usr/lib/b": b"1", "usr/share/c": b"1", "usr/gone/d": b"1"}
    after = {"usr/lib/a": b"2", "usr/lib/new/e": b"2", "usr/share/c": b"1"}
    made = layer_image([over(tmp_path, before, after)], {"usr/note": b"N"}, created=CREATED)
    assert {path: oct(node.mode) for path, node in made.nodes.items()} == {
        "": "0o40755",
        "usr": "0o40755",
        "usr/gone": "0o40755",
        "usr/gone/d": "0o20000",
        "usr/lib": "0o40755",
        "usr/lib/a": "0o100444",
        "usr/lib/b": "0o20000",
        "usr/lib/new": "0o40755",
        "usr/lib/new/e": "0o100444",
        "usr/note": "0o100444",
    }
    raw, _, _ = write(made, tmp_path)
    with mounted(raw) as place:
        assert (place / "usr/lib/a").read_bytes() == b"2"
        assert (place / "usr/note").read_bytes() == b"N"


def test_two_trees_that_disagree_on_a_path_give_no_image(tmp_path: Path) -> None:
    def entry(digit: str) -> Entry:
        return Entry("usr/a", "file", 0o444, 1, digit * 64)

    folder = Entry("usr", "folder", 0o555)
    one = Overlay((folder, entry("1")), (folder, entry("2")), lambda path: tmp_path / path)
    other = Overlay((folder, entry("1")), (folder, entry("3")), lambda path: tmp_path / path)
    layer_image([one, one], {}, created=CREATED)
    with pytest.raises(InvalidRecordError, match="Two components disagree on 'usr/a'"):
        layer_image([one, other], {}, created=CREATED)
    wider = Entry("usr", "folder", 0o2555)
    other = Overlay((wider,), (wider, Entry("usr/z", "link", target="a")), lambda path: tmp_path)
    with pytest.raises(InvalidRecordError, match="Two components disagree on 'usr'"):
        layer_image([one, other], {}, created=CREATED)
