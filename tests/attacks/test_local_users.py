"""Other users of a shared machine: what they may see, and what they cannot touch."""

from __future__ import annotations

import contextlib
import fcntl
import io
import json
import os
import signal
import stat
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from repoint.cli import main
from repoint.device.activate.launch import prepare_launch
from repoint.device.errors import StoreDamagedError
from repoint.device.store.store_lock import locked
from tests.cli.command import everything
from tests.places import Place

NOBODY = 65534
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be several users")


@pytest.fixture
def open_way(tmp_path: Path) -> Iterator[None]:
    """Make the folders above the device searchable for other accounts; pytest makes them 0700."""
    changed = []
    for folder in (tmp_path, *tmp_path.parents):
        mode = folder.stat().st_mode
        if mode & 0o005 != 0o005:
            folder.chmod(mode | 0o055)
            changed.append((folder, mode))
    yield
    for folder, mode in changed:
        folder.chmod(stat.S_IMODE(mode))


def as_nobody(work: Callable[[], object]) -> Any:
    """Do something in a process that has become another user, and bring back what it gave.

    The interpreter may lie where that user cannot read, so everything is loaded before.
    """
    read, write = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setgid(NOBODY)
            os.setuid(NOBODY)
            os.write(write, json.dumps(work()).encode())
        except BaseException:
            os.write(write, json.dumps(traceback.format_exc()).encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as answer:
        status = json.loads(answer.read())
    os.waitpid(pid, 0)
    return status


def commands(*lines: tuple[str, ...]) -> Callable[[], object]:
    """Run commands in this process: for each the status, what it printed, and its error."""

    def run() -> object:
        answers = []
        for line in lines:
            out, err = io.StringIO(), io.StringIO()
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                sys.argv = ["repoint", *line]
                status: object = 0
                try:
                    main()
                except SystemExit as end:
                    status = end.code
            answers.append((status or 0, out.getvalue(), err.getvalue()))
        return answers

    return run


@as_root
def test_nobody_sees_the_status_of_roots_store_and_can_change_nothing(
    place: Place, open_way: None
) -> None:
    place.enroll()
    place.update()
    store = ("--store", str(place.folder / "store"))
    looking = [("status", "--json", *store), ("status", *store), ("history", *store)]
    commands(*looking)()  # loads what it needs
    before = everything(place.folder)
    first, *others = as_nobody(commands(*looking))
    assert first[0] == 0, first
    status = json.loads(first[1])
    assert status["in_force"] == "26.3.1 (a)"
    assert [cve["state"] for cve in status["cves"]] == ["in force"]
    assert [answer[0] for answer in others] == [0, 0], others
    changing = [("check",), ("install",), ("remove",), ("settings", "automatic", "off")]
    for answer in as_nobody(commands(*[(*command, *store) for command in changing])):
        assert answer[0] == 1
        assert "No right to change the store" in answer[2]
        assert "Traceback" not in answer[2]
    assert everything(place.folder) == before


@pytest.mark.slow
@as_root
def test_nobody_can_swap_anything_while_an_improvement_is_prepared(
    place: Place, open_way: None
) -> None:
    place.enroll()
    place.device.check(None)
    ready, start = os.pipe()

    def attack() -> object:
        tried = done = 0
        os.write(start, b"1")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            for top, folders, files in os.walk(place.folder):
                for name in (*folders, *files, "new"):
                    path = Path(top, name)
                    for one in (
                        lambda path=path: path.rename(f"{path}-away"),
                        lambda path=path: path.unlink(),
                        lambda path=path: path.symlink_to("/etc"),
                        lambda path=path: os.close(os.open(path, os.O_WRONLY)),
                    ):
                        tried += 1
                        with contextlib.suppress(OSError):
                            one()
                            done += 1
        return tried, done

    with ThreadPoolExecutor() as pool:
        attacker = pool.submit(as_nobody, attack)
        os.read(ready, 1)
        place.update()
        tried, done = attacker.result()
    os.close(ready)
    os.close(start)
    assert tried > 100
    assert done == 0
    assert place.text() == "VERSION = 'new'\n"


@pytest.mark.slow
@pytest.mark.parametrize("mask", [0o000, 0o077])
def test_the_store_is_readable_by_all_and_writable_by_its_owner_whatever_the_mask(
    place: Place, mask: int
) -> None:
    before = os.umask(mask)
    try:
        place.enroll()
        place.update()
    finally:
        os.umask(before)
    store = place.device.store
    barred = [tree for tree in store.trees.iterdir() if tree != place.graft.resolve()]
    assert [stat.S_IMODE(tree.stat().st_mode) for tree in barred] == [0o500]
    for path in store.path.rglob("*"):
        mode = path.lstat().st_mode
        if any(path.is_relative_to(tree) for tree in barred):
            assert mode & 0o022 == 0 or stat.S_ISLNK(mode), f"others may write to {path}"
            continue  # a tree that is not in force: others cannot enter it
        if stat.S_ISLNK(mode) or path.parent.name in ("metadata", "root_history"):
            assert stat.S_ISLNK(mode) or mode & 0o022 == 0, f"others may write to {path}"
            continue  # what the update framework keeps is public anyhow; only checks read it
        assert mode & 0o022 == 0, f"others may write to {path}"
        if path.name in ("lock", "agent.lock"):
            assert mode & 0o077 == 0, f"others may hold {path}"
            continue
        assert mode & 0o004, f"others cannot read {path}"
        assert not stat.S_ISDIR(mode) or mode & 0o001, f"others cannot enter {path}"


def test_two_threads_that_change_two_stores_leave_the_umask_alone(tmp_path: Path) -> None:
    """The umask belongs to the process: a page's other threads create files meanwhile."""
    first_entered, second_entered, first_left = (threading.Event() for _ in range(3))

    def first() -> None:
        with locked(tmp_path / "one", "first"):
            first_entered.set()
            second_entered.wait(20)
        first_left.set()

    def second() -> None:
        first_entered.wait(20)
        with locked(tmp_path / "two", "second"):
            second_entered.set()
            first_left.wait(20)

    before = os.umask(0o077)
    try:
        with ThreadPoolExecutor() as pool:
            for done in [pool.submit(first), pool.submit(second)]:
                done.result()
        with locked(tmp_path / "three", "third"):
            held = os.umask(0o077)
        after = os.umask(0o077)
    finally:
        os.umask(before)
    assert (oct(held), oct(after)) == (oct(0o077), oct(0o077))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "trees", "products"])
def test_a_store_to_which_others_may_write_is_not_used(place: Place, name: str) -> None:
    place.enroll()
    folder = place.folder / "store" / name
    folder.chmod(0o777)
    with pytest.raises(StoreDamagedError, match="Others may write to"):
        place.device.check(None)
    assert place.device.status(None).in_force == "26.3.1"
    folder.chmod(0o755)
    place.device.check(None)


@as_root
def test_root_does_not_work_in_a_store_that_another_user_has_laid_out(place: Place) -> None:
    """Such as one that waits at the name that root is going to use, in a folder open to all."""
    store = place.folder / "store"
    (store / "trees").mkdir(parents=True)
    for path in (store, store / "trees"):
        os.chown(path, NOBODY, NOBODY)
    before = everything(place.folder)
    with pytest.raises(StoreDamagedError, match="belongs to another user"):
        place.enroll()
    assert everything(place.folder) == before


def test_a_folder_above_the_store_that_is_open_to_all_is_refused(place: Place) -> None:
    place.folder.chmod(0o777)
    with pytest.raises(StoreDamagedError, match="Others may write to"):
        place.enroll()
    place.folder.chmod(0o1777)  # as /tmp is: nobody renames what is another's
    place.enroll()


@pytest.mark.one_quick
@as_root
@pytest.mark.parametrize("is_new", [True, False], ids=["a new store", "an old store"])
def test_a_store_behind_another_accounts_link_is_refused(place: Place, is_new: bool) -> None:
    """The owner of the link could redirect it while a command runs."""
    if not is_new:
        place.enroll()
    link = place.folder / "link"
    link.symlink_to(place.folder)
    os.lchown(link, NOBODY, NOBODY)
    before = everything(place.folder)
    with (
        pytest.raises(StoreDamagedError, match="belongs to another account"),
        locked(link / "store", "check"),
    ):
        pass
    assert everything(place.folder) == before
    os.lchown(link, 0, 0)
    with locked(link / "store", "check"):
        pass


def test_a_link_in_the_place_of_the_lock_is_not_followed(place: Place, tmp_path: Path) -> None:
    (place.folder / "store").mkdir()
    (place.folder / "store/lock").symlink_to(tmp_path / "victim")
    with pytest.raises(Exception, match="change the store"):
        place.enroll()
    assert not (tmp_path / "victim").exists()


def lock_everything(folder: Path) -> Callable[[], object]:
    """Try every lock on everything below a folder, keep what was had, and return."""
    whole = {
        kind: struct.pack("hhqqi4x", kind, os.SEEK_SET, 0, 0, 0)
        for kind in (fcntl.F_RDLCK, fcntl.F_WRLCK)
    }

    def attack() -> object:
        held = 0
        for top, folders, files in os.walk(folder):
            for name in (".", *folders, *files):
                for access in (os.O_RDWR, os.O_WRONLY, os.O_RDONLY):
                    with contextlib.suppress(OSError):
                        opened = os.open(Path(top, name), access | os.O_NONBLOCK)
                        held += 1
                        for kind in (fcntl.F_WRLCK, fcntl.F_RDLCK):
                            with contextlib.suppress(OSError):
                                fcntl.fcntl(opened, fcntl.F_OFD_SETLK, whole[kind])
                        with contextlib.suppress(OSError):
                            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return held

    return attack


@pytest.mark.slow
@as_root
def test_nobody_can_hold_up_commands_or_launches_with_locks(place: Place, open_way: None) -> None:
    place.enroll()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    attack = lock_everything(place.folder)
    ready, start = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
        os.write(start, b"1" if attack() else b"0")
        time.sleep(600)
        os._exit(0)
    try:
        assert os.read(ready, 1) == b"1"
        began = time.monotonic()
        assert place.device.activate(None)
        launch = prepare_launch(str(place.folder / "store"), ["/bin/true"], {})
        for descriptor in launch.held:
            os.close(descriptor)
        place.device.check(None)
        place.device.remove(None, why="")
        assert time.monotonic() - began < 60
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(start)
    assert place.text() == "VERSION = 'old'\n"


@pytest.mark.slow
@as_root
def test_a_replaced_program_gives_nobody_its_privileges(place: Place, open_way: None) -> None:
    place.enroll()
    replaced = place.graft.resolve()
    place.update()

    def look() -> object:
        found = []
        for top, _, files in os.walk(place.folder / "store/trees"):
            found += [top for name in files if os.access(Path(top, name), os.R_OK)]
        with contextlib.suppress(PermissionError):
            found += [str(path) for path in replaced.iterdir()]
        return found

    seen = as_nobody(look)
    assert seen
    assert all(Path(path).is_relative_to(place.graft.resolve()) for path in seen)
