"""Removal: read-only, deep and hostile trees, and nothing outside of them."""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.fs.removal import make_writable, remove_tree
from repoint.fs.walk import walk

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount")


def deep(root: Path, levels: int, name: str = "d") -> None:
    """Create a chain of folders that no path can name, with a file at its end."""
    root.mkdir()
    here = os.open(root, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("file", os.O_CREAT | os.O_WRONLY, dir_fd=here))
    os.close(here)


def read_only(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("x")
    for path in (root / "a/b", root / "a", root):
        path.chmod(0o555)


def closed(root: Path) -> None:
    (root / "a/b").mkdir(parents=True)
    (root / "a/b/file").write_text("x")
    for path in (root / "a/b", root / "a"):
        path.chmod(0o000)


def wide(root: Path) -> None:
    root.mkdir()
    for number in range(500):
        (root / f"{number}").mkdir()
        (root / f"{number}/file").touch()


def strange(root: Path) -> None:
    root.mkdir()
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(".")
    (root / "away").symlink_to("/")
    (root / "broken").symlink_to("nothing")
    (root / os.fsdecode(b"\xff\n")).mkdir()
    (root / ("n" * 255)).touch()


TREES: dict[str, Callable[[Path], None]] = {
    "read-only folders": read_only,
    "folders without permissions": closed,
    "many full folders": wide,
    "pipes, links and odd names": strange,
    "1,100 levels": lambda root: deep(root, 1100),
    "longer than any path": lambda root: deep(root, 40, "n" * 255),
    "a file": Path.touch,
    "a link to a folder": lambda root: root.symlink_to("/"),
    "nothing": lambda root: None,
}


@pytest.mark.parametrize("kind", TREES)
def test_everything_is_removed(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "tree"
    TREES[kind](root)
    remove_tree(root)
    assert os.listdir(tmp_path) == []


def test_a_missing_folder_above_is_no_error(tmp_path: Path) -> None:
    remove_tree(tmp_path / "none/tree")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another account")
def test_an_ordinary_account_removes_folders_without_permissions(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.chdir(tmp_path)
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
            closed(Path("tree"))
            remove_tree(Path("tree"))
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0
    assert os.listdir(tmp_path) == []


def test_links_are_removed_and_what_they_lead_to_stays_as_it_is(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o500)
    secret = tmp_path / "secret"
    secret.touch(mode=0o400)
    root = tmp_path / "tree"
    (root / "a").mkdir(parents=True)
    (root / "a/folder").symlink_to(outside)
    (root / "a/file").symlink_to(secret)
    make_writable(root)
    remove_tree(root)
    assert stat.S_IMODE(outside.stat().st_mode) == 0o500
    assert stat.S_IMODE(secret.stat().st_mode) == 0o400


def exchanging(root: Path, victim: Path, work: Callable[[Path], object], moment: int) -> bool:
    """Work on a tree in a child, and exchange a folder for a link before one of its system calls.

    Returns:
        Whether the work came to that call.
    """
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    calls = 0

    def before_call(event: str, _: object) -> None:
        nonlocal calls
        if event.startswith("os.") or event == "open":
            calls += 1
            if calls == moment:
                with contextlib.suppress(OSError):
                    (root / "inner").rename(root.parent / f"aside{moment}")
                    (root / "inner").symlink_to(victim)

    sys.addaudithook(before_call)
    with contextlib.suppress(OSError):
        work(root)
    os._exit(0 if calls >= moment else 1)


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "work",
    [remove_tree, make_writable],
    ids=["remove", "make writable"],
)
def test_a_folder_that_is_exchanged_for_a_link_leads_nowhere_else(
    tmp_path: Path, work: Callable[[Path], object]
) -> None:
    victim = tmp_path / "victim"
    (victim / "folder").mkdir(parents=True)
    (victim / "folder/precious").touch(mode=0o444)
    victim.chmod(0o555)
    before = [(path, path.stat().st_mode) for path in (victim, *victim.rglob("*"))]
    for moment in range(1, 1000):
        root = tmp_path / f"tree{moment}"
        (root / "inner/folder").mkdir(parents=True)
        (root / "inner/folder/precious").touch(mode=0o444)
        is_reached = exchanging(root, victim, work, moment)
        assert [(path, path.stat().st_mode) for path in (victim, *victim.rglob("*"))] == before
        if not is_reached:
            break
    assert moment > 5


@as_root
@pytest.mark.parametrize("inside", ["mount", "a/b/mount"])
def test_what_is_mounted_in_a_tree_stays(tmp_path: Path, inside: str) -> None:
    """Such as a folder of another component that a container has bound into this one."""
    (tmp_path / "outside/precious").mkdir(parents=True)
    mount = tmp_path / "tree" / inside
    mount.mkdir(parents=True)
    subprocess.run(["mount", "--bind", tmp_path / "outside", mount], check=True)
    try:
        with pytest.raises(OSError, match="busy") as refused:
            remove_tree(tmp_path / "tree")
    finally:
        subprocess.run(["umount", mount], check=True)
    assert refused.value.filename == str(mount)
    assert (tmp_path / "outside/precious").is_dir()


@pytest.mark.parametrize("levels", [0, 1, 31, 32, 33, 100, 1100])
def test_a_walk_has_few_files_open_at_any_depth(tmp_path: Path, levels: int) -> None:
    deep(tmp_path / "tree", levels)
    most, found = 0, 0
    for _ in walk(tmp_path / "tree"):
        most = max(most, len(os.listdir("/proc/self/fd")))
        found += 1
    before = len(os.listdir("/proc/self/fd"))
    assert found == levels + 1
    assert most < before + 50
    remove_tree(tmp_path / "tree")


def test_a_walk_names_each_folder_before_its_content_and_leaves_out_what_it_shall(
    tmp_path: Path,
) -> None:
    for path in ("b/c/file", "b/skipped/file", "a/file", "z"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = [item.path for item in walk(tmp_path, skip=lambda path: path.endswith("skipped"))]
    assert found == ["a", "b", "z", "a/file", "b/c", "b/c/file"]


def test_an_error_names_the_whole_path(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError) as refused:
        next(walk(tmp_path / "file"))
    assert refused.value.filename == str(tmp_path / "file")
