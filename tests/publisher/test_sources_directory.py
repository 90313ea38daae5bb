from __future__ import annotations

import os
import resource
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from repoint.model.errors import RepointError
from repoint.publisher.ingest import unpack_source
from repoint.publisher.ingest.errors import UnfitSourceError, UnpackError
from repoint.publisher.ingest.limits import Limits
from repoint.tree.links import first_escape
from tests.publisher.sources_support import tree_of


@pytest.fixture
def source(tmp_path: Path) -> Path:
    source = tmp_path / "source"
    (source / "lib/deep").mkdir(parents=True)
    (source / "empty").mkdir()
    (source / "lib/a.so").write_bytes(os.urandom(3_000_000))
    (source / "lib/deep/tool").write_text("#!")
    (source / "lib/deep/up").symlink_to("../a.so")
    return source


def refusal(
    source: Path,
    kind: type[RepointError] = UnfitSourceError,
    *,
    limits: Limits | None = None,
) -> str:
    into = source.parent / "tree"
    before = sorted(os.listdir(source.parent))
    with pytest.raises(kind) as caught:
        unpack_source(source, into, limits=limits)
    assert sorted(os.listdir(source.parent)) == before
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_a_folder_is_copied_with_modes_links_and_times(source: Path, tmp_path: Path) -> None:
    (source / "lib/deep/tool").chmod(0o4751)
    os.utime(source / "lib/deep/tool", ns=(5, 1_600_000_000_123_456_789))
    (source / "lib/deep").chmod(0o511)
    os.utime(source / "lib/deep", (5, 1_600_000_001))
    unpack_source(source, tmp_path / "tree")
    assert tree_of(tmp_path / "tree") == tree_of(source)
    for path in (".", "lib", "lib/deep", "lib/deep/tool", "lib/deep/up", "empty"):
        old, new = (source / path).lstat(), (tmp_path / "tree" / path).lstat()
        assert old.st_mode == new.st_mode
        assert path == "." or old.st_mtime_ns == new.st_mtime_ns


def test_the_copy_is_not_the_source(source: Path, tmp_path: Path) -> None:
    unpack_source(source, tmp_path / "tree")
    (tmp_path / "tree/lib/deep/tool").write_text("changed")
    assert (source / "lib/deep/tool").read_text() == "#!"


def test_folders_that_the_interpreter_fills_are_left_out(source: Path, tmp_path: Path) -> None:
    before = tree_of(source)
    (source / "lib/__pycache__").mkdir()
    (source / "lib/__pycache__/a.pyc").write_bytes(b"")
    unpack_source(source, tmp_path / "tree")
    assert tree_of(tmp_path / "tree") == before


def test_a_link_to_a_folder_is_a_source_too(source: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(source)
    unpack_source(tmp_path / "link", tmp_path / "tree")
    assert tree_of(tmp_path / "tree") == tree_of(source)


@pytest.mark.parametrize("target", ["/etc/passwd", "../../../x"])
def test_a_link_out_of_the_folder_is_refused(source: Path, target: str) -> None:
    (source / "lib/out").symlink_to(target)
    assert "'lib/out' leads out of the tree" in refusal(source)


def test_a_pipe_is_refused_without_waiting_for_it(source: Path) -> None:
    os.mkfifo(source / "lib/pipe")
    assert "'lib/pipe' is a device, a socket or a pipe" in refusal(source)


def test_a_socket_is_refused(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(source)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
    assert "'socket' is a device, a socket or a pipe" in refusal(source)


def test_a_name_that_is_no_text_is_refused(source: Path) -> None:
    (Path(os.fsdecode(bytes(source) + b"/\xff"))).write_text("")
    assert "not valid UTF-8" in refusal(source)


def test_a_folder_without_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "source/__pycache__").mkdir(parents=True)
    (tmp_path / "source/__pycache__/x.pyc").write_text("x")
    (tmp_path / "source/link").symlink_to("nowhere")
    assert "contains no file" in refusal(tmp_path / "source")


def test_the_limits_hold_for_folders_too(source: Path) -> None:
    assert "more than 2,999,999 bytes" in refusal(source, limits=Limits(total=2_999_999))
    assert "more than 5 paths" in refusal(source, limits=Limits(entries=5))


def test_a_missing_source_is_reported(tmp_path: Path) -> None:
    message = refusal(tmp_path / "missing.whl")
    assert "missing.whl does not exist. Name a folder, a wheel" in message


@pytest.mark.parametrize("name", ["notes.txt", "fake.whl", "fake.deb", "fake.tar.gz", "empty.zst"])
@pytest.mark.parametrize("content", [b"just text", b"", b"BZh91AY&SY", b"\x7fELF" * 200])
def test_a_file_of_another_kind_is_reported(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert f"{name} is not a source that Repoint supports. Name a folder" in refusal(
        tmp_path / name
    )


def test_a_pipe_as_a_source_is_reported_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "is neither a file nor a folder" in refusal(tmp_path / "pipe")


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch, lambda path: path.symlink_to("nowhere")])
def test_what_stands_at_the_place_already_is_left_alone(
    source: Path, make: Callable[[Path], object]
) -> None:
    make(source.parent / "tree")
    assert "tree already exists" in refusal(source, UnpackError)


def test_a_place_inside_the_source_is_refused(source: Path) -> None:
    before = tree_of(source)
    with pytest.raises(UnpackError, match="is inside"):
        unpack_source(source, source / "lib/tree")
    assert tree_of(source) == before


def test_a_place_whose_folder_is_missing_is_reported(source: Path, tmp_path: Path) -> None:
    with pytest.raises(UnpackError, match=r"could not be unpacked to .*No such file or directory"):
        unpack_source(source, tmp_path / "no/tree")


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    """A folder in which the permission bits count for this process, also where it is root."""
    with tempfile.TemporaryDirectory() as folder:
        root = os.geteuid() == 0
        if root:
            os.chown(folder, 65534, 65534)
            os.seteuid(65534)
        try:
            yield Path(folder)
        finally:
            for path in Path(folder).rglob("*"):
                if not path.is_symlink():
                    path.chmod(0o700)
            if root:
                os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_reported(nobodys_folder: Path) -> None:
    source = nobodys_folder / "source"
    (source / "closed").mkdir(parents=True)
    (source / "closed").chmod(0)
    message = refusal(source, UnpackError)
    assert "Permission denied" in message
    assert "source/closed" in message
    source.chmod(0)
    assert "Permission denied" in refusal(source, UnpackError)


def test_a_file_that_may_not_be_read_is_reported(nobodys_folder: Path) -> None:
    source = nobodys_folder / "source.whl"
    source.write_bytes(b"PK")
    source.chmod(0)
    assert "source.whl cannot be read: Permission denied" in refusal(source)


def test_a_place_that_may_not_be_written_is_reported(nobodys_folder: Path) -> None:
    source = nobodys_folder / "source"
    source.mkdir()
    (source / "a").write_text("")
    (nobodys_folder / "closed").mkdir(mode=0o500)
    with pytest.raises(UnpackError, match=r"Permission denied.*Run as a user who may"):
        unpack_source(source, nobodys_folder / "closed/tree")


def test_a_read_only_tree_is_cleaned_up_after_a_refusal(nobodys_folder: Path) -> None:
    source = nobodys_folder / "source"
    (source / "a").mkdir(parents=True)
    (source / "a/file").write_text("x")
    (source / "a").chmod(0o555)
    (source / "out").symlink_to("/etc")
    assert "leads out of the tree" in refusal(source)


def test_a_write_that_fails_leaves_nothing(source: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    try:
        assert "could not be unpacked" in refusal(source, UnpackError)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


PARTS = st.sampled_from(["..", ".", "a", "b", "c"])
TARGETS = st.lists(PARTS, min_size=1, max_size=6).map("/".join)


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "d/a", "d/b", "d/e/a"]), TARGETS))
def test_links_found_to_stay_inside_stay_inside_on_disk(
    tmp_path_factory: pytest.TempPathFactory, links: dict[str, str]
) -> None:
    root = tmp_path_factory.mktemp("links") / "x/x/x/x/x/x/tree"
    (root / "d/e").mkdir(parents=True)
    for path, target in links.items():
        (root / path).symlink_to(target)
    # realpath goes on through names that do not exist, as `first_escape` does.
    real = [Path(os.path.realpath(root / path)) for path in links]
    if not all(path.is_relative_to(root.resolve()) for path in real):
        assert first_escape(links) is not None


def test_a_sparse_file_stays_sparse(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    with (tmp_path / "source/image").open("wb") as file:
        file.truncate(5 << 30)
        file.seek(1 << 30)
        file.write(b"data")
    unpack_source(tmp_path / "source", tmp_path / "tree")
    image = tmp_path / "tree/image"
    assert image.stat().st_size == 5 << 30
    assert image.stat().st_blocks * 512 <= 1 << 20
    with image.open("rb") as file:
        file.seek(1 << 30)
        assert file.read(5) == b"data\0"
