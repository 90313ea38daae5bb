"""Which processes use a tree: judged by what their files are, not by what they are called."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from repoint.device.activate.restart import Restarted, restart
from repoint.device.device import Device
from repoint.device.errors import StillRunningError
from repoint.device.outcomes import require_done
from repoint.device.status.census import Use, census_of
from repoint.host.host import Host
from repoint.host.kernel.processes import Processes as ProcessTable
from tests.places import Place
from tests.world import FIXED, OLD, Vendor

PYTHON = "/usr/bin/python3"
MAPS = """
import mmap, signal, sys, time
with open(sys.argv[1], 'rb') as file:
    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ | (int(sys.argv[2]) and mmap.PROT_EXEC))
if int(sys.argv[3]):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print('ready', flush=True)
time.sleep(600)
"""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and other accounts need root")


class Processes:
    """Processes that a test starts; all are ended after it."""

    def __init__(self) -> None:
        self.started: list[subprocess.Popen[bytes]] = []

    def map(
        self,
        path: Path,
        *prefix: str,
        code: bool = True,
        stubborn: bool = False,
        user: int = 0,
        first: str = "",
    ) -> subprocess.Popen[bytes]:
        """Start a process that maps a file.

        Args:
            path: The file.
            prefix: A command that runs the process.
            code: Whether the file is mapped as code.
            stubborn: Whether the process ignores SIGTERM.
            user: The account that it runs as.
            first: What it does first.
        """
        script = f"{first}\n{MAPS}"
        command = [*prefix, PYTHON, "-S", "-c", script, str(path), str(int(code))]
        command.append(str(int(stubborn)))
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, user=user or None, cwd="/", start_new_session=True
        )
        self.started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        return process

    def end(self) -> None:
        for process in self.started:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def processes() -> Iterator[Processes]:
    started = Processes()
    yield started
    started.end()


@pytest.fixture
def enrolled(place: Place, vendor: Vendor) -> Iterator[Place]:
    """A device whose folders every account may enter; pytest keeps its own to itself."""
    place.enroll()
    changed = []
    for folder in (place.folder, *place.folder.parents[:-1]):
        mode = folder.stat().st_mode
        if mode & 0o005 != 0o005:
            folder.chmod(mode | 0o055)
            changed.append((folder, stat.S_IMODE(mode)))
    yield place
    for folder, mode in changed:
        folder.chmod(mode)


def uses(place: Place) -> list[Use]:
    return list(census_of(place.device.store, Host.local()).uses)


def library(place: Place) -> Path:
    return place.graft.resolve() / "lib/engine.so"


def restart_soon(place: Place) -> Restarted:
    """Restart, and wait only shortly for programs that do not close."""
    host = Host.local()
    return require_done(restart(place.product, host, now=1_700_000_000, close_timeout=0.3))


def chroot_with(tmp_path: Path, *bound: tuple[Path, Path]) -> str:
    """Return a script that makes a root folder of its own, with folders bound into it."""
    root = tmp_path / "root"
    system = [Path(p) for p in ("/usr", "/lib", "/lib64", "/bin", "/proc") if Path(p).exists()]
    lines = ["set -e"]
    for source, target in (*((folder, folder) for folder in system), *bound):
        inside = f"{root}{target}"
        lines.append(f"mkdir -p {inside}; mount --bind {source} {inside}")
    return "; ".join((*lines, f'exec chroot {root} "$@"'))


def in_the_graft_point(place: Place, processes: Processes, tmp_path: Path) -> None:
    processes.map(place.graft / "lib/engine.so")


def under_another_name(place: Place, processes: Processes, tmp_path: Path) -> None:
    os.link(library(place), tmp_path / "other-name")
    processes.map(tmp_path / "other-name")


def bound_in_a_mount_namespace(place: Place, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "seen").mkdir()
    script = f'mount --bind {place.graft.resolve()} {tmp_path}/seen; exec "$@"'
    processes.map(tmp_path / "seen/lib/engine.so", "unshare", "-m", "sh", "-c", script, "sh")


def one_file_bound_in_a_mount_namespace(place: Place, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "seen").touch()
    script = f'mount --bind {library(place)} {tmp_path}/seen; exec "$@"'
    processes.map(tmp_path / "seen", "unshare", "-m", "sh", "-c", script, "sh")


def bound_in_a_chroot(place: Place, processes: Processes, tmp_path: Path) -> None:
    script = chroot_with(tmp_path, (place.graft.resolve(), Path("/opt/engine")))
    path = Path("/opt/engine/lib/engine.so")
    processes.map(path, "unshare", "-m", "sh", "-c", script, "sh")


def in_a_container(place: Place, processes: Processes, tmp_path: Path) -> None:
    processes.map(library(place), "unshare", "-mpf", "--mount-proc", "--kill-child")


def removed_meanwhile(place: Place, processes: Processes, tmp_path: Path) -> None:
    processes.map(library(place))
    library(place).unlink()


def replaced_meanwhile(place: Place, processes: Processes, tmp_path: Path) -> None:
    processes.map(library(place))
    (tmp_path / "new").write_text("new")
    shutil.move(tmp_path / "new", library(place))


@needs_root
@pytest.mark.parametrize(
    "start",
    [in_the_graft_point, under_another_name, bound_in_a_mount_namespace,
     one_file_bound_in_a_mount_namespace, bound_in_a_chroot, in_a_container,
     removed_meanwhile, replaced_meanwhile],
)  # fmt: skip
def test_a_file_of_a_tree_counts_under_every_name_and_through_every_mount(
    enrolled: Place,
    processes: Processes,
    tmp_path: Path,
    start: Callable[[Place, Processes, Path], None],
) -> None:
    start(enrolled, processes, tmp_path)
    found = uses(enrolled)
    assert [(use.seal, use.runs) for use in found] == [(enrolled.graft.resolve().name, True)]
    assert found[0].files == ("lib/engine.so",)
    assert found[0].contained == (start is in_a_container)


def in_a_snapshot_of_the_store(place: Place, processes: Processes, tmp_path: Path) -> None:
    copy = Path(f"{tmp_path}/snapshot{library(place)}")
    copy.parent.mkdir(parents=True)
    shutil.copy(library(place), copy)
    processes.map(copy)


def in_a_store_of_a_container(place: Place, processes: Processes, tmp_path: Path) -> None:
    tree = place.graft.resolve()
    shutil.copytree(tree, tmp_path / "copy")
    script = chroot_with(tmp_path, (tmp_path / "copy", tree))
    processes.map(library(place), "unshare", "-m", "sh", "-c", script, "sh")


def removed_from_a_store_of_a_container(place: Place, processes: Processes, tmp_path: Path) -> None:
    in_a_store_of_a_container(place, processes, tmp_path)
    (tmp_path / "copy/lib/engine.so").unlink()


def removed_from_a_folder_whose_path_ends_alike(
    place: Place, processes: Processes, tmp_path: Path
) -> None:
    in_a_snapshot_of_the_store(place, processes, tmp_path)
    Path(f"{tmp_path}/snapshot{library(place)}").unlink()


def mounted_over_the_tree_by_an_account(place: Place, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own/evil.so").write_bytes(b"\0" * 5000)
    tree = place.graft.resolve()
    script = f'mount --bind {tmp_path}/own {tree}; exec "$@"'
    processes.map(tree / "evil.so", "unshare", "-Umr", "sh", "-c", script, "sh")
    (tmp_path / "own/evil.so").unlink()


def with_the_store_in_its_arguments(place: Place, processes: Processes, tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    processes.map(tmp_path / "x", "env", f"NOTE={place.graft.resolve()}-of-old")


@needs_root
@pytest.mark.parametrize(
    "start",
    [in_a_snapshot_of_the_store, in_a_store_of_a_container, removed_from_a_store_of_a_container,
     removed_from_a_folder_whose_path_ends_alike, mounted_over_the_tree_by_an_account,
     with_the_store_in_its_arguments],
)  # fmt: skip
def test_a_file_that_only_has_the_path_of_a_tree_does_not_count(
    enrolled: Place,
    processes: Processes,
    tmp_path: Path,
    start: Callable[[Place, Processes, Path], None],
) -> None:
    start(enrolled, processes, tmp_path)
    assert uses(enrolled) == []


@needs_root
@pytest.mark.parametrize("code", [False, True], ids=["reads", "runs"])
def test_a_foreign_account_is_reported_and_does_not_hold_a_restart_off(
    enrolled: Place, vendor: Vendor, processes: Processes, code: bool
) -> None:
    stubborn = processes.map(library(enrolled), code=code, stubborn=True, user=65534)
    vendor.release()
    enrolled.device.check(None)
    enrolled.device.install(None, user_initiated=True)
    restarted = restart_soon(enrolled)
    assert restarted.generation.letter == "a"
    assert [use.pid for use in restarted.left] == ([stubborn.pid] if code else [])
    assert stubborn.poll() is None
    assert stubborn.pid in [use.pid for use in uses(enrolled)]


@needs_root
def test_a_foreign_reader_does_not_hold_an_activation_off(
    enrolled: Place, vendor: Vendor, processes: Processes
) -> None:
    processes.map(library(enrolled), code=False, user=65534)
    vendor.release()
    enrolled.device.check(None)
    enrolled.device.install(None, user_initiated=True)
    enrolled.device.activate(None)
    assert enrolled.text() == "VERSION = 'new'\n"


@needs_root
def test_a_container_is_never_signalled_and_does_not_hold_a_fix_off(
    enrolled: Place, vendor: Vendor, processes: Processes, tmp_path: Path
) -> None:
    in_a_container(enrolled, processes, tmp_path)
    vendor.release()
    enrolled.device.check(None)
    enrolled.device.install(None, user_initiated=True)
    restarted = restart_soon(enrolled)
    assert restarted.generation.letter == "a"
    assert [use.contained for use in restarted.left] == [True]
    assert restarted.closed == ()
    assert processes.started[0].poll() is None
    assert enrolled.device.status(None).exposed


@needs_root
def test_a_process_of_our_own_that_does_not_close_still_holds_the_switch_off(
    enrolled: Place, vendor: Vendor, processes: Processes
) -> None:
    processes.map(library(enrolled), stubborn=True)
    vendor.release()
    enrolled.device.check(None)
    enrolled.device.install(None, user_initiated=True)
    with pytest.raises(StillRunningError):
        restart_soon(enrolled)
    assert enrolled.text() == OLD["main.py"]


@needs_root
def test_a_process_that_is_not_dumpable_keeps_its_account(
    enrolled: Place, processes: Processes
) -> None:
    hides = "import ctypes; ctypes.CDLL(None).prctl(4, 0)"  # PR_SET_DUMPABLE
    hidden = processes.map(library(enrolled), user=65534, first=hides)
    assert Path(f"/proc/{hidden.pid}/maps").stat().st_uid == 0
    assert uses(enrolled)[0].foreign


class NoProc(ProcessTable):
    """The processes of a machine without a proc file system."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        super().__init__(folder)


@needs_root
def test_without_proc_nothing_is_claimed_nothing_is_switched_and_nothing_is_collected(
    enrolled: Place, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.release()
    enrolled.update()
    old = enrolled.graft.resolve()
    blind = msgspec.structs.replace(Host.local(), processes=NoProc(tmp_path / "proc"))
    device = Device(enrolled.folder / "store", host=blind)
    status = device.status(None)
    assert (status.verdict, status.protected, status.hidden) == ("unknown", False, True)
    vendor.release({"engine": {**FIXED, "late.py": "VERSION = 'newer'\n"}})
    device.check(None)
    device.install(None, user_initiated=True)
    with pytest.raises(StillRunningError, match="cannot be listed"):
        device.activate(None)
    assert enrolled.graft.resolve() == old
    state = enrolled.product
    state.links.clear_staged()
    device.check(None)
    assert len(list(old.parent.iterdir())) == 3
    enrolled.device.check(None)
    assert len(list(old.parent.iterdir())) == 2
