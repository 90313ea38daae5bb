"""Durable files: modes that do not depend on the umask, links that are not followed."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.fs.durable import (
    append_durably,
    make_folder,
    rename_durably,
    sync,
    write_durably,
    write_new,
)
from repoint.fs.exchange import exchange


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    before = os.umask(request.param)
    yield request.param
    assert os.umask(before) == request.param


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.usefixtures("umask")
def test_modes_do_not_depend_on_the_umask(tmp_path: Path) -> None:
    make_folder(tmp_path / "outer/inner")
    make_folder(tmp_path / "private", mode=0o700)
    write_durably(tmp_path / "public.json", b"{}")
    write_durably(tmp_path / "secret.json", b"{}", mode=0o600)
    write_new(tmp_path / "image", b"", mode=0o444)
    append_durably(tmp_path / "history", b"one")
    append_durably(tmp_path / "history", b"two")
    modes = {path.name: mode(path) for path in tmp_path.rglob("*")}
    assert modes == {
        "outer": 0o755,
        "inner": 0o755,
        "private": 0o700,
        "public.json": 0o644,
        "secret.json": 0o600,
        "image": 0o444,
        "history": 0o644,
    }


def test_a_folder_that_a_killed_process_left_half_made_is_finished(tmp_path: Path) -> None:
    (tmp_path / ".new-folder").mkdir(0o700)
    make_folder(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
    assert mode(tmp_path / "folder") == 0o755


def test_two_threads_that_make_the_same_folders_both_succeed(tmp_path: Path) -> None:
    failures: list[OSError] = []
    start = threading.Barrier(4)

    def make() -> None:
        for number in range(100):
            start.wait()
            try:
                make_folder(tmp_path / f"{number}/inner")
                (tmp_path / f"{number}/inner/{threading.get_ident()}").touch()
            except OSError as error:
                failures.append(error)

    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert all(len(list((tmp_path / f"{n}/inner").iterdir())) == 4 for n in range(100))
    assert not list(tmp_path.rglob(".new-*"))


def test_a_pipe_that_another_account_puts_in_the_way_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".new-folder")
    with pytest.raises(NotADirectoryError):
        make_folder(tmp_path / "folder")


def test_a_file_in_a_folder_that_is_reached_through_a_link_is_written(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to("disk")
    write_durably(tmp_path / "store/policy.json", b"{}")
    assert (tmp_path / "disk/policy.json").read_bytes() == b"{}"
    with pytest.raises(OSError, match="symbolic links"):
        sync(tmp_path / "store")


def test_a_temporary_name_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / ".new-file").symlink_to("victim")
    with pytest.raises(OSError, match="symbolic links"):
        write_durably(tmp_path / "file", b"new")
    assert (tmp_path / "victim").read_text() == "kept"


def test_a_new_file_never_replaces_one_and_is_removed_if_it_cannot_be_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_new(tmp_path / "key", b"first")
    with pytest.raises(FileExistsError):
        write_new(tmp_path / "key", b"second")
    assert (tmp_path / "key").read_bytes() == b"first"

    def refuse(descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="Input/output error"):
        write_new(tmp_path / "image", b"")
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_a_torn_line_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    (tmp_path / "history").write_bytes(b"one\ntor")
    append_durably(tmp_path / "history", b"two")
    assert (tmp_path / "history").read_bytes() == b"one\ntor\ntwo\n"


def test_two_names_are_exchanged(tmp_path: Path) -> None:
    (tmp_path / "tree").mkdir()
    (tmp_path / "link").symlink_to("tree")
    exchange(tmp_path / "link", tmp_path / "tree")
    assert (tmp_path / "tree").is_symlink()
    assert (tmp_path / "link").is_dir()
    rename_durably(tmp_path / "tree", tmp_path / "moved")
    with pytest.raises(FileNotFoundError):
        exchange(tmp_path / "link", tmp_path / "tree")
