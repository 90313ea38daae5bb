"""Locks: exclusive or shared, with a bounded wait, private, and released with their process."""

from __future__ import annotations

import contextlib
import fcntl
import os
import stat
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.fs.lock import (
    LockHeldError,
    exclusive_folder_lock,
    exclusive_lock,
    hold_folder,
    is_folder_held,
)
from repoint.fs.regular import NotAFileError


def test_a_second_holder_is_refused_and_reads_the_note_of_the_first(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "lock") as lock:
        lock.write_note(b"the first")
        with pytest.raises(LockHeldError) as refused, exclusive_lock(tmp_path / "lock"):
            pass
    assert refused.value.note == b"the first"
    with exclusive_lock(tmp_path / "lock"):
        pass


def test_a_shorter_note_replaces_a_longer_one(tmp_path: Path) -> None:
    with exclusive_lock(tmp_path / "lock") as lock:
        lock.write_note(b"a long note")
        lock.write_note(b"short")
    assert (tmp_path / "lock").read_bytes() == b"short"


def test_who_waits_is_notified_once_and_gets_the_lock(tmp_path: Path) -> None:
    waits: list[bytes] = []
    waiting = threading.Event()
    entered = threading.Event()

    def on_wait(note: bytes) -> None:
        waits.append(note)
        waiting.set()

    def second() -> None:
        with exclusive_lock(tmp_path / "lock", wait=20.0, on_wait=on_wait):
            entered.set()

    thread = threading.Thread(target=second)
    with exclusive_lock(tmp_path / "lock") as lock:
        lock.write_note(b"the first")
        thread.start()
        assert waiting.wait(20)
        assert not entered.wait(0.2)
    assert entered.wait(20)
    thread.join()
    assert waits == [b"the first"]


def test_the_wait_is_bounded(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "lock"),
        pytest.raises(LockHeldError),
        exclusive_lock(tmp_path / "lock", wait=0.1),
    ):
        pass


def test_a_folder_is_locked_once(tmp_path: Path) -> None:
    with (
        exclusive_folder_lock(tmp_path),
        pytest.raises(LockHeldError),
        exclusive_folder_lock(tmp_path),
    ):
        pass
    with exclusive_folder_lock(tmp_path):
        pass


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from repoint.fs.lock import exclusive_lock\n"
        "with exclusive_lock(Path(sys.argv[1])):\n    print('held', flush=True)\n    time.sleep(60)\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(LockHeldError), exclusive_lock(tmp_path / "lock"):
            pass
        holder.kill()
        holder.wait()
        with exclusive_lock(tmp_path / "lock"):
            pass


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_lock_file_is_private_whatever_the_umask(tmp_path: Path, mask: int) -> None:
    (tmp_path / "old").touch()
    (tmp_path / "old").chmod(0o644)  # as earlier versions left it
    before = os.umask(mask)
    try:
        for name in ("new", "old"):
            with exclusive_lock(tmp_path / name):
                pass
            assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600
    finally:
        os.umask(before)


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("kept")
    (tmp_path / "lock").symlink_to("victim")
    with pytest.raises(NotAFileError), exclusive_lock(tmp_path / "lock"):
        pass
    assert (tmp_path / "victim").read_text() == "kept"


def _opened(folder: Path) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def test_a_folder_is_held_until_the_last_holder_lets_go(tmp_path: Path) -> None:
    first, second = _opened(tmp_path), _opened(tmp_path)
    hold_folder(first)
    hold_folder(second)
    os.close(first)
    assert is_folder_held(tmp_path)
    os.close(second)
    assert not is_folder_held(tmp_path)


def test_an_open_folder_alone_is_not_held(tmp_path: Path) -> None:
    descriptor = _opened(tmp_path)
    assert not is_folder_held(tmp_path)
    os.close(descriptor)


def test_a_child_inherits_the_hold(tmp_path: Path) -> None:
    descriptor = _opened(tmp_path)
    hold_folder(descriptor)
    with subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,)) as child:
        os.close(descriptor)
        assert is_folder_held(tmp_path)
        child.kill()
        child.wait()
        assert not is_folder_held(tmp_path)


def _try_flock(descriptor: int) -> None:
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _try_exclusive(command: int) -> Callable[[int], None]:
    lock = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)

    def take(descriptor: int) -> None:
        fcntl.fcntl(descriptor, command, lock)

    return take


def _try_lease(descriptor: int) -> None:
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)


@pytest.mark.parametrize(
    "take",
    [
        pytest.param(_try_flock, id="flock"),
        pytest.param(_try_exclusive(fcntl.F_OFD_SETLK), id="open file description lock"),
        pytest.param(_try_exclusive(fcntl.F_SETLK), id="process lock"),
        pytest.param(_try_lease, id="lease"),
    ],
)
def test_no_lock_of_another_keeps_anyone_from_holding_a_folder(
    tmp_path: Path, take: Callable[[int], None]
) -> None:
    """An account that may only read the folder can take no more than this."""
    other = _opened(tmp_path)
    with contextlib.suppress(OSError):
        take(other)
    mine = _opened(tmp_path)
    hold_folder(mine)
    assert is_folder_held(tmp_path)
    os.close(mine)
    assert not is_folder_held(tmp_path)
    os.close(other)
