"""Components of the system: a layer over files below /usr or /opt, among files of others."""

from __future__ import annotations

import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.device.errors import EnrolmentRefusedError, StillRunningError
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter, DifferentTreesError
from repoint.host.errors import CannotMergeError
from repoint.host.systemd.sysext import SystemExtensions
from tests.cli.command import works
from tests.sysext.conftest import APP, NEW, OLD, System, own_host, put, run
from tests.world import Files, Vendor, write_tree

LATER: Files = {**NEW, f"{APP}/share/table": "new table\n"}


@pytest.mark.slow
def test_programs_see_an_improvement_and_after_its_removal_the_base(
    system: System,
) -> None:
    system.enroll()
    assert SystemExtensions().merged() == {}
    assert system.shows(OLD)
    system.update()
    assert system.shows(NEW)
    assert Path(f"/{APP}/lib/others.so").read_text() == "of others"
    assert Path("/opt/others/file").read_text() == "of others"
    status = system.device.status(None)
    assert (status.in_force, status.protected) == ("26.3.1 (a)", True)
    system.device.remove(None, why="")
    assert SystemExtensions().merged() == {}
    assert system.shows(OLD)
    status = system.device.status(None)
    assert (status.in_force, status.protected) == ("26.3.1", False)


def test_a_removed_file_is_gone_and_an_added_one_is_there(system: System) -> None:
    system.enroll()
    system.update()
    assert not os.path.lexists(f"/{APP}/lib/libplugin.so")
    assert Path(f"/{APP}/lib/libextra.so").is_file()
    assert Path(f"/{APP}/lib").stat().st_mode & 0o7777 == 0o755


@pytest.mark.slow
def test_the_base_is_never_touched(system: System) -> None:
    system.enroll()
    before = {path: path.stat().st_ino for path in Path("/opt").rglob("*")}
    system.update()
    system.device.remove(None, why="")
    assert {path: path.stat().st_ino for path in Path("/opt").rglob("*")} == before
    system.device.unenroll(None)
    assert {path: path.stat().st_ino for path in Path("/opt").rglob("*")} == before
    assert system.shows(OLD)


@pytest.mark.slow
def test_the_next_letter_replaces_the_one_before(system: System) -> None:
    system.enroll()
    system.update()
    system.vendor.release({"codec": LATER})
    system.update()
    assert system.shows(LATER)
    assert system.device.status(None).in_force == "26.3.1 (b)"
    extensions = system.product.path / "extensions"
    assert [path.name for path in extensions.iterdir()] == ["26.3.1-25D2128-b"]


@pytest.mark.slow
def test_after_a_reboot_programs_see_the_base_until_repoint_has_compared_it(
    system: System,
) -> None:
    system.enroll()
    system.update()
    system.reboot()
    run("systemd-sysext", "refresh")  # what systemd does automatically
    assert system.shows(OLD)
    assert not system.device.status(None).protected
    system.device.check(None)  # any command that changes the store; the boot unit is one
    assert system.shows(NEW)
    assert system.device.status(None).protected


def test_a_base_that_is_not_the_baselines_is_not_enrolled(system: System) -> None:
    put({f"{APP}/share/table": "somebody's own\n"})
    with pytest.raises(DifferentTreesError, match="1 path differs"):
        system.enroll()
    put(OLD)
    os.chown(f"/{APP}/share/table", 1000, 1000)
    with pytest.raises(EnrolmentRefusedError, match="belongs to another user than root"):
        system.enroll()
    os.chown(f"/{APP}/share/table", 0, 0)
    Path(f"/{APP}/share").rename(f"/{APP}/real")
    Path(f"/{APP}/share").symlink_to("real")
    with pytest.raises(DifferentTreesError):
        system.enroll()


@pytest.mark.slow
def test_a_component_of_the_system_and_a_tree_of_its_own_are_enrolled_together(
    system: System, tmp_path: Path
) -> None:
    engine = write_tree(tmp_path / "srv/engine", {"main.py": "VERSION = 1\n"})
    made = Vendor(tmp_path / "two components")
    made.baseline({"codec": OLD, "engine": {"main.py": "VERSION = 1\n"}})
    made.release({"codec": NEW, "engine": {"main.py": "VERSION = 2\n"}})
    system.server.folder = made.public
    grafts = {
        "codec": GraftRequest(Path("/"), strategy="sysext"),
        "engine": GraftRequest(engine),
    }
    system.device.enroll(made.product, system.server.url, made.root, grafts, BaselineFilter())
    system.update()
    assert system.shows(NEW)
    assert (engine / "main.py").read_text() == "VERSION = 2\n"


def test_a_tree_below_a_hierarchy_is_not_enrolled_with_a_component_of_the_system(
    system: System,
) -> None:
    grafts = {
        "codec": GraftRequest(Path("/"), strategy="sysext"),
        "engine": GraftRequest(Path("/", APP, "share")),
    }
    with pytest.raises(EnrolmentRefusedError, match="overlap"):
        system.device.enroll(
            system.vendor.product, system.server.url, system.vendor.root, grafts, BaselineFilter()
        )


@pytest.mark.slow
def test_a_process_that_has_the_old_file_mapped_is_exposed_and_blocks_the_switch(
    system: System,
) -> None:
    code = (
        "import mmap, sys\n"
        f"with open('/{APP}/lib/libcodec.so', 'rb') as file:\n"
        "    held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)\n"
        "print('ready', flush=True)\n"
        "sys.stdin.read()\n"
    )
    system.enroll()
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == b"ready\n"
        system.device.check(None)
        system.device.install(None, user_initiated=True)
        with pytest.raises(StillRunningError, match=f"python.* \\({program.pid}\\)"):
            system.device.activate(None)
        (exposed,) = system.device.status(None).exposed
        assert (exposed.pid, exposed.runs) == (program.pid, "26.3.1")
        assert exposed.files == (f"{APP}/lib/libcodec.so",)
        assert system.shows(OLD)
        program.communicate()
    system.device.activate(None)
    assert system.shows(NEW)
    with open(f"/{APP}/lib/libcodec.so", "rb") as file:
        held = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as program:
            assert program.stdout is not None
            assert program.stdout.readline() == b"ready\n"
            assert system.device.status(None).exposed == ()
            with pytest.raises(StillRunningError):
                system.device.remove(None, why="")
                system.device.activate(None)
            program.communicate()
        held.close()


@pytest.mark.slow
def test_the_command_line_enrols_a_component_of_the_system(system: System, vendor: Vendor) -> None:
    root = vendor.public / "metadata/1.root.json"
    enrolled = works(
        "enroll", system.server.url, "--product", vendor.product, "--root", root,
        "--system", "codec=/", "--platform", "linux-x86_64", "--store", system.store,
    )  # fmt: skip
    assert "codec at /" in enrolled
    works("check", "--store", system.store)
    works("install", "--store", system.store)
    works("restart", "--store", system.store)
    assert system.shows(NEW)
    assert "Protected" in works("status", "--store", system.store)


def test_nothing_is_switched_if_no_other_program_would_see_the_layer(
    system: System, tmp_path: Path
) -> None:
    """For instance in a container, or in a service with its own /usr."""
    system.enroll()
    system.device.check(None)
    system.device.install(None, user_initiated=True)
    (tmp_path / "machine").symlink_to("mnt:[1]")
    system.host = own_host(machine_mounts=tmp_path / "machine")
    with pytest.raises(CannotMergeError, match="has mounts of its own"):
        system.device.restart(None)
    assert system.shows(OLD)
    status = system.device.status(None)
    assert (status.in_force, status.staged) == ("26.3.1", "26.3.1 (a)")


def test_a_system_without_systemd_sysext_stays_at_its_base(
    system: System, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    system.enroll()
    system.device.check(None)
    system.device.install(None, user_initiated=True)
    for program in ("mount", "umount"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    monkeypatch.setattr("repoint.host.run.SYSTEM_PATH", str(tmp_path))
    with pytest.raises(CannotMergeError, match="There is no systemd-sysext on this system"):
        system.device.restart(None)
    assert system.shows(OLD)
    assert system.device.status(None).in_force == "26.3.1"


@pytest.mark.slow
def test_the_system_can_be_updated_once_the_layers_are_unmerged(system: System) -> None:
    system.enroll()
    system.update()
    output = works("system", "unmerge", "--store", system.store)
    assert "acme-kiosk: its layer is unmerged until" in output
    assert system.shows(OLD)
    assert not system.device.status(None).protected
    put({"opt/others/file": "newer", f"{APP}/lib/others.so": "newer"})  # another package
    assert works("system", "merge", "--store", system.store) == ""
    assert system.shows(NEW)
    assert Path("/opt/others/file").read_text() == "newer"
    assert system.device.status(None).protected
    assert works("system", "unmerge", "--store", system.store)
    put({f"{APP}/lib/libcodec.so": "newer"})  # its own package
    works("system", "merge", "--store", system.store)
    assert Path(f"/{APP}/lib/libcodec.so").read_text() == "newer"
    assert system.device.status(None).in_force == "26.3.1"


@pytest.mark.slow
def test_what_is_staged_comes_into_force_at_a_reboot(system: System) -> None:
    system.enroll()
    system.device.check(None)
    system.device.install(None, user_initiated=True)
    system.reboot()
    assert works("system", "merge", "--store", system.store) == ""
    assert system.shows(NEW)
    system.reboot()
    assert works("system", "merge", "--store", system.store) == ""
    assert system.shows(NEW)
    assert system.device.status(None).protected


@pytest.mark.slow
def test_a_merge_that_fails_exits_with_the_reason(system: System, tmp_path: Path) -> None:
    system.enroll()
    system.update()
    system.reboot()
    for program in ("mount", "umount", "python3"):
        (tmp_path / program).symlink_to(f"/usr/bin/{program}")
    # Root finds programs in the system's folders only, so those are played.
    code = f"from repoint.host import run; run.SYSTEM_PATH = {str(tmp_path)!r}\n"
    code += "from repoint.cli import main; main()"
    answer = subprocess.run(
        [sys.executable, "-c", code, "system", "merge", "--store", system.store],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert answer.returncode == 1
    assert "repoint: acme-kiosk: There is no systemd-sysext on this system" in answer.stderr
    assert system.shows(OLD)


def test_without_an_enrolment_there_is_nothing_to_merge(tmp_path: Path) -> None:
    assert works("system", "merge", "--store", tmp_path / "none") == ""
    assert works("system", "unmerge", "--store", tmp_path / "none") == ""
    assert not (tmp_path / "none").exists()
