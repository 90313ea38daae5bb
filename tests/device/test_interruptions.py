"""A command that is killed at any change of the file system is completed or undone by the next.

Each operation runs in a child that kills itself before the n-th call that changes the file system.
System calls, power cuts and disk errors are left to `tests.faults`.
"""

from __future__ import annotations

import os
import shutil
import signal
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.device.strategy import grafts
from repoint.fs.removal import remove_tree
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree
from tests.device.conftest import Place
from tests.world import Files, Vendor

OLD: Files = {"main.py": "VERSION = 'old'\n", "lib/a.so": "a" * 300, "lib/b.so": "b" * 300}
NEW: Files = {"main.py": "VERSION = 'new'\n", "lib/a.so": "a" * 300, "lib/b-2.so": "b" * 299}
CHANGES = ("rename", "replace", "symlink", "link", "mkdir", "unlink", "rmdir", "fsync", "chmod",
           "utime")  # fmt: skip


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    made.baseline({"engine": OLD})
    made.release({"engine": NEW})
    return made


def killed_at(number: int, operation: Callable[[], object]) -> bool:
    """Run in a child that kills itself before the n-th change; return whether it got that far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def counted(real: Callable[..., object]) -> Callable[..., object]:
            def call(*args: object, **named: object) -> object:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **named)

            return call

        for name in CHANGES:
            setattr(os, name, counted(getattr(os, name)))
        grafts.exchange = counted(grafts.exchange)  # type: ignore[assignment]
        try:
            operation()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.waitstatus_to_exitcode(status) == 0
    return os.WIFSIGNALED(status)


class Snapshot:
    """A copy of the device's folder, to restore before each attempt."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.copy = folder.with_name(f"{folder.name}.copy")
        shutil.copytree(folder, self.copy, symlinks=True)

    def restore(self) -> None:
        remove_tree(self.folder)
        shutil.copytree(self.copy, self.folder, symlinks=True)


def everything(folder: Path) -> dict[str, str]:
    """Return what is on disk, apart from times and logs, to compare two runs."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = f"-> {path.readlink()}"
        elif path.is_file() and path.suffix != ".jsonl" and path.name not in (
            "lock", "checked.json", "enrolment.json", "timestamp.json", "seen", "switch.json"
        ) and path.parent.name not in ("marks", "verified"):  # fmt: skip
            found[name] = str(path.read_bytes())
        else:
            found[name] = "there"
    return found


def check_every_point(
    place: Place, operation: Callable[[], object], seals: set[str], *, step: int = 1
) -> None:
    """Kill the operation at every step-th point, and compare what is left with an undisturbed run."""
    snapshot = Snapshot(place.folder)
    operation()
    undisturbed = everything(place.folder)
    number = 0
    while True:
        number += step
        snapshot.restore()
        if not killed_at(number, operation):
            break
        assert seal_of(scan_tree(place.graft.resolve())) in seals, number
        if (place.folder / "store/products").exists() and place.device.store.enrolled():
            place.device.status(None)
        operation()
        assert everything(place.folder) == undisturbed, number
    assert number > 10


def seal(vendor: Vendor, files: Files) -> str:
    return seal_of(scan_tree(vendor.source(files)))


@pytest.mark.slow
def test_enrolling(place: Place, vendor: Vendor) -> None:
    def operation() -> None:
        if not place.device.store.enrolled():
            place.enroll()
        else:
            place.device.check(None)

    place.put(OLD)
    snapshot = Snapshot(place.folder)
    place.enroll()
    place.device.check(None)
    undisturbed = everything(place.folder)
    number = 0
    while True:
        number += 5  # each point takes a whole enrolment to make up for
        snapshot.restore()
        if not killed_at(number, place.enroll):
            break
        assert seal_of(scan_tree(place.graft.resolve())) == seal(vendor, OLD), number
        operation()
        place.device.check(None)
        assert everything(place.folder) == undisturbed, number
    assert number > 20


@pytest.mark.parametrize("step", [7, pytest.param(1, marks=pytest.mark.slow)])
def test_installing(place: Place, vendor: Vendor, step: int) -> None:
    place.put(OLD)
    place.enroll()
    place.device.check(None)

    def install() -> None:
        place.device.install(None, user_initiated=True)

    check_every_point(place, install, {seal(vendor, OLD)}, step=step)


@pytest.mark.slow
def test_activating(place: Place, vendor: Vendor) -> None:
    place.put(OLD)
    place.enroll()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    both = {seal(vendor, OLD), seal(vendor, NEW)}
    check_every_point(place, lambda: place.device.activate(None), both)


@pytest.mark.slow
def test_removing(place: Place, vendor: Vendor) -> None:
    place.put(OLD)
    place.enroll()
    place.update()
    both = {seal(vendor, OLD), seal(vendor, NEW)}
    check_every_point(place, lambda: place.device.remove(None, why=""), both)
