"""The units: what systemd-analyze reports, and that Repoint needs nothing that they forbid."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.agent.units import installation as units
from repoint.agent.units.unit_files import (
    ACTIVATE,
    AGENT,
    PAGE,
    PAGE_SOCKET,
    START,
    TELL_PATH,
    TIMER,
    Setup,
    desktop_files,
    quoted,
    unit_files,
)
from repoint.device.store.records import Enrolment, GraftPoint
from repoint.device.store.store import Store
from repoint.host.systemd.services import Systemd
from tests.cli.command import repoint, works
from tests.places import Place
from tests.world import NAME, Vendor

ANALYZE = shutil.which("systemd-analyze")
needs_analyze = pytest.mark.skipif(ANALYZE is None, reason="there is no systemd-analyze here")
SYSTEM = Setup(Path("/usr/bin/python3"), Path("/var/lib/repoint"), (Path("/opt/kiosk/lib/pillow"),))
USER = Setup(Path(sys.executable), Path("/home/ada/.local/share/repoint"), (), user=True)


# What a library of numerics asks for where it can have it; it is refused, here as well.
DONE_WITHOUT = {"mbind"}

# linux/prctl.h; since Linux 6.3
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1


def written(folder: Path, setup: Setup) -> Path:
    for name, text in {**unit_files(setup), **desktop_files(setup)}.items():
        (folder / name).write_text(text)
    return folder


def analyze(*arguments: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, check=False
    )
    return done.stdout + done.stderr


@needs_analyze
def test_what_talks_to_the_network_is_shut_in_to_a_score_of_two_at_most(tmp_path: Path) -> None:
    written(tmp_path, SYSTEM)
    output = analyze("security", "--offline=true", "--no-pager", str(tmp_path / AGENT))
    score = re.search(r"exposure level for \S+: ([\d.]+)", output)
    assert score is not None, output
    assert float(score[1]) <= 2.0, output


@needs_analyze
@pytest.mark.parametrize("user", [False, True])
def test_systemd_finds_nothing_wrong_with_the_units(tmp_path: Path, user: bool) -> None:
    setup = Setup(Path(sys.executable), tmp_path / "a store", (tmp_path / "graft",), user)
    written(tmp_path, setup)
    whose = ["--user"] if setup.user else []
    files = [str(path) for path in sorted(tmp_path.glob("repoint-*"))]
    output = analyze("verify", *whose, "--man=no", *files)
    lines = [line for line in output.splitlines() if "repoint-" in line]
    assert lines == [], output


@pytest.mark.slow
@needs_analyze
@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace here")
def test_an_update_run_makes_no_system_call_that_the_unit_forbids(
    place: Place, vendor: Vendor, tmp_path: Path
) -> None:
    place.enroll()
    vendor.release()
    log = tmp_path / "calls"
    subprocess.run(
        ["strace", "-f", "-qq", "-o", log, *(f"--inject={c}:error=EPERM" for c in DONE_WITHOUT), sys.executable, "-m", "repoint", "agent", "run-once",
         "--hand-over", "--store", place.folder / "store"],
        capture_output=True, check=False,
    )  # fmt: skip
    assert place.product.links.staged() is not None
    made = set(re.findall(r"^\d+ +(\w+)\(", log.read_text(errors="replace"), flags=re.MULTILINE))
    text = unit_files(SYSTEM)[AGENT]
    allowed: set[str] = set()
    for value in re.findall(r"^SystemCallFilter=(.*)$", text, flags=re.MULTILINE):
        if value.startswith("~"):
            allowed -= members(value[1:])
        else:
            allowed |= set().union(*map(members, value.split()))
    # Allowed by systemd itself, for the start of the program (systemd.exec(5)).
    allowed |= {"execve", "exit", "exit_group", "getrlimit", "rt_sigreturn", "sigreturn",
                "brk", "mmap", "arch_prctl", "rseq", "set_robust_list", "set_tid_address"}  # fmt: skip
    assert made - allowed <= DONE_WITHOUT


def members(name: str) -> set[str]:
    """The system calls of a group, with those of the groups in it."""
    if not name.startswith("@"):
        return {name}
    lines = [line.strip() for line in analyze("syscall-filter", name).splitlines()]
    inside = [line for line in lines[1:] if line and not line.startswith("#")]
    return set().union(*(members(word) for word in inside if word != name))


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("setpriv") is None or os.geteuid() != 0, reason="needs root")
def test_root_needs_no_privilege_to_prepare(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    done = subprocess.run(
        ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable,
         "-m", "repoint", "agent", "run-once", "--hand-over", "--store", place.folder / "store"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert place.product.links.staged() is not None, done.stderr


@pytest.mark.slow
def test_an_update_run_needs_no_memory_that_is_writable_and_executable(
    place: Place, vendor: Vendor
) -> None:
    code = (
        "import ctypes, os, sys\n"
        f"if ctypes.CDLL(None).prctl({PR_SET_MDWE}, {PR_MDWE_REFUSE_EXEC_GAIN}, 0, 0, 0):\n"
        "    sys.exit(99)\n"
        "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])\n"
    )
    place.enroll()
    vendor.release()
    done = subprocess.run(
        [sys.executable, "-c", code, "-m", "repoint", "agent", "run-once", "--store",
         place.folder / "store"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip("this kernel cannot refuse it")
    assert place.text() == "VERSION = 'new'\n", done.stderr


def test_paths_are_written_as_systemd_reads_them() -> None:
    assert quoted("/a b") == '"/a b"'
    assert quoted("100%") == "100%%"
    assert quoted('say "$x"\\') == '"say \\"$$x\\"\\\\"'
    odd = Setup(Path("/opt/my python"), Path("/srv/50% $off"))
    assert 'ExecStart="/opt/my python" -I -X utf8 -m repoint' in unit_files(odd)[AGENT]
    assert 'ReadWritePaths="/srv/50%% $off"' in unit_files(odd)[AGENT]


def test_what_lies_in_homes_or_in_tmp_stays_in_reach() -> None:
    text = unit_files(Setup(Path("/home/ada/venv/bin/python"), Path("/tmp/store")))[AGENT]
    assert "ProtectHome=read-only" in text
    assert "PrivateTmp=no" in text
    assert "ReadWritePaths=/tmp\n" in text
    assert "ProtectHome=yes" in unit_files(SYSTEM)[AGENT]
    assert "PrivateTmp=yes" in unit_files(SYSTEM)[AGENT]


def test_a_persons_units_ask_for_nothing_that_needs_root() -> None:
    text = unit_files(USER)[AGENT]
    for name in ("ProtectSystem", "Private", "ProtectProc", "CapabilityBoundingSet"):
        assert name not in text
    assert "SocketMode=0600" in unit_files(USER)[PAGE_SOCKET]
    assert "SocketMode=0666" in unit_files(SYSTEM)[PAGE_SOCKET]


def test_installing_and_taking_away_are_each_others_opposite(tmp_path: Path) -> None:
    folder, desktops = tmp_path / "system", tmp_path / "user"
    made = units.plan_installation(SYSTEM, folder, desktops)
    assert {path.name for path in made.files} == {*unit_files(SYSTEM), *desktop_files(SYSTEM)}
    assert ("systemctl", "enable", "--now", TIMER, PAGE_SOCKET) in made.after
    assert ("systemctl", "enable", START) in made.after
    assert ("systemctl", "--global", "enable", TELL_PATH) in made.after
    units.apply(units.UnitChange(made.files), Systemd())
    (folder / "other.service").write_text("somebody's")
    gone = units.plan_removal(False, folder, desktops)
    assert set(gone.files) == set(made.files)
    units.apply(units.UnitChange(gone.files), Systemd())
    assert [path.name for path in folder.iterdir()] == ["other.service"]
    assert units.plan_removal(False, folder, desktops) == units.UnitChange({})


def test_a_person_has_no_desktop_units_of_everybody(tmp_path: Path) -> None:
    made = units.plan_installation(USER, tmp_path, tmp_path / "all")
    assert {path.name for path in made.files} == set(unit_files(USER))
    assert all(command[:2] == ("systemctl", "--user") for command in made.after)


def test_a_command_that_fails_is_reported_with_its_output(tmp_path: Path) -> None:
    change = units.UnitChange({}, after=(("sh", "-c", "echo no such bus >&2; exit 1"),))
    with pytest.raises(units.UnitsError, match="no such bus"):
        units.apply(change, Systemd())
    with pytest.raises(units.UnitsError, match="No such file"):
        units.apply(units.UnitChange({}, after=(("no-such-systemctl",),)), Systemd())


def test_without_systemd_there_are_lines_for_cron(tmp_path: Path) -> None:
    lines = units.cron_lines(Setup(Path("/usr/bin/python3"), tmp_path / "100%"))
    minute = int(lines[0].split()[0])
    assert 0 <= minute < 60
    assert lines[0].endswith(
        f"* * * *  root  /usr/bin/python3 -I -X utf8 -m repoint agent run-once --if-due "
        f"--store {tmp_path}/100\\% >/dev/null"
    )
    assert lines[1].startswith("@reboot  root  ")
    mine = units.cron_lines(Setup(Path("/usr/bin/python3"), tmp_path, user=True))
    assert "root" not in mine[0].split()[:6]
    assert mine[0].split()[0] != "" and units.cron_lines(SYSTEM) == units.cron_lines(SYSTEM)


def test_the_command_shows_all_it_would_do_and_does_nothing(place: Place) -> None:
    place.enroll()
    before = set(Path("/etc/systemd/system").glob("repoint*"))
    output = works("agent", "install", "--dry-run", "--store", place.folder / "store")
    assert set(Path("/etc/systemd/system").glob("repoint*")) == before
    setup = units.setup_for(Store(place.folder / "store"), user=os.geteuid() != 0)
    assert setup.grafts == (place.graft,)
    for name, text in unit_files(setup).items():
        assert f"/{name}\n{text}" in output
    assert "$ systemctl" in output


@pytest.mark.skipif(Systemd().is_booted(), reason="systemd runs this machine")
def test_the_command_reports_that_systemd_does_not_run(place: Place) -> None:
    place.enroll()
    answer = repoint("agent", "install", "--store", place.folder / "store")
    assert answer.status == 0
    assert "systemd is not running on this machine" in answer.out
    assert "agent run-once --if-due" in answer.out


def test_services_that_merge_layers_have_no_mounts_of_their_own() -> None:
    """Whatever implies a mount namespace by systemd.exec(5) would hide the layers from others."""
    implies = re.compile("^(Protect|Private|ReadOnly|ReadWrite|Inaccessible|Bind|Root|Temporary)")
    for name in (ACTIVATE, START, PAGE):
        found = [line for line in unit_files(SYSTEM)[name].splitlines() if implies.match(line)]
        assert found == [], name
    assert "ProtectSystem=strict" in unit_files(SYSTEM)[AGENT]


def test_the_start_unit_runs_if_something_is_staged_merged_or_on_trial() -> None:
    lines = unit_files(SYSTEM)[START].splitlines()
    found = [line.partition("=|")[2] for line in lines if line.startswith("ConditionPathExists")]
    products = "/var/lib/repoint/products/*"
    waiting = ("staged", "trial.json", "extensions/*", "images/*")
    assert found == [f"{products}/{name}" for name in waiting]


def test_a_component_of_the_system_opens_nothing_to_the_service_that_prepares(
    tmp_path: Path,
) -> None:
    product = Store(tmp_path / "store").product("acme-kiosk")
    points = (GraftPoint("codec", "/", strategy="sysext"), GraftPoint("engine", "/srv/a/engine"))
    product.documents.set_enrolment(Enrolment(1, "acme-kiosk", "", NAME, points, 1))
    setup = units.setup_for(product.store, user=False)
    assert setup.grafts == (Path("/srv/a/engine"),)
    assert "ReadWritePaths=/\n" not in unit_files(setup)[AGENT]
