"""Programs that outlive Repoint, and the accounts that they run as."""

from __future__ import annotations

import os
import pwd
import stat
from pathlib import Path

import pytest

from repoint.host.host import Host
from repoint.host.programs import Programs, StartedProgram, environment_for
from repoint.host.run import SYSTEM_PATH, ProgramResult
from repoint.host.systemd.services import Systemd, TransientUnit
from tests.places import wait_for


@pytest.fixture
def as_root(tmp_path: Path, run_folder: Path) -> Path:
    """A folder for root's programs and logs that other accounts can enter."""
    if os.geteuid() != 0:
        pytest.skip("only root can start programs of others")
    for folder in (tmp_path, *tmp_path.parents):
        if folder.is_relative_to(run_folder) or folder.name == "pytest-of-root":
            folder.chmod(0o755)
    return tmp_path


def ended(log: Path) -> bool:
    return log.exists() and log.read_text().endswith("end\n")


SHOW = ("sh", "-c", "id -u; id -G; pwd; env; sleep 0; echo end")
HOSTILE = {"LD_PRELOAD": "/nowhere.so", "PYTHONPATH": "/nowhere", "SECRET_TOKEN": "hunter2",
           "BASH_ENV": "/nowhere", "ENV": "/nowhere", "IFS": "x", "DISPLAY": ":7"}  # fmt: skip


def test_another_accounts_program_gets_a_clean_environment_and_that_accounts_rights(
    as_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    log = as_root / "log"
    assert Host.local().programs.start(SHOW, log, 65534).started
    wait_for(lambda: ended(log))
    account = pwd.getpwuid(65534)
    user, groups, folder, *variables, _ = log.read_text().splitlines()
    assert (user, groups, folder) == ("65534", str(account.pw_gid), "/")
    names = {line.partition("=")[0] for line in variables}
    assert names <= {
        "PATH",
        "LANG",
        "HOME",
        "USER",
        "LOGNAME",
        "SHELL",
        "PWD",
        "SHLVL",
        "_",
        "OLDPWD",
    }
    assert f"PATH={SYSTEM_PATH}" in variables
    assert f"HOME={account.pw_dir}" in variables
    status = log.stat()
    assert (status.st_uid, stat.S_IMODE(status.st_mode)) == (65534, 0o600)


def test_root_starts_its_own_program_without_the_callers_environment(
    as_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    evil = as_root / "evil"
    evil.mkdir()
    (evil / "sh").write_text("#!/bin/bash\necho evil\n")
    (evil / "sh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{evil}:/usr/bin:/bin")
    monkeypatch.chdir(evil)
    log = as_root / "log"
    log.write_text("")
    log.chmod(0o644)
    assert Host.local().programs.start(SHOW, log, None).started
    wait_for(lambda: ended(log))
    text = log.read_text()
    assert text.startswith("0\n")
    assert not any(value in text for value in ("evil", "hunter2", "nowhere", ":7"))
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_log_that_is_a_link_is_not_followed(as_root: Path) -> None:
    (as_root / "log").symlink_to(as_root / "target")
    assert not Host.local().programs.start(("true",), as_root / "log", None).started
    assert not (as_root / "target").exists()


@pytest.mark.parametrize("change", ["owner", "mode", "group", "folder", "folder's group", "link"])
def test_root_runs_no_program_that_another_account_can_change(as_root: Path, change: str) -> None:
    folder = as_root / "bin"
    folder.mkdir()
    program = folder / "program"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert Host.local().programs.start((str(program),), as_root / "log", None).started
    if change == "owner":
        os.chown(program, 65534, -1)
    elif change == "mode":
        program.chmod(0o757)
    elif change == "group":
        os.chown(program, 0, 65534)
        program.chmod(0o775)
    elif change == "folder":
        folder.chmod(0o777)
    elif change == "folder's group":
        os.chown(folder, 0, 65534)
        folder.chmod(0o2775)
    else:
        target, program = program, folder / "link"
        program.symlink_to(target)
        os.lchown(program, 65534, -1)
    done = Host.local().programs.start((str(program),), as_root / "log", None)
    assert "another account can change" in done.reason
    assert Host.local().programs.start((str(program),), as_root / "log", 65534).started


def test_an_account_without_a_name_is_reported(as_root: Path) -> None:
    done = Host.local().programs.start(("true",), as_root / "log", 3_999_999)
    assert done.reason == "there is no account with the number 3999999"


class BootedSystemd(Systemd):
    """A systemd that records which units it has to start."""

    def __init__(self) -> None:
        super().__init__()
        self.units: list[TransientUnit] = []

    def is_booted(self) -> bool:
        return True

    def start_transient(self, unit: TransientUnit) -> ProgramResult:
        self.units.append(unit)
        return ProgramResult((), 1, errors="Host is down\n")


def test_with_systemd_another_accounts_program_starts_in_its_own_session(as_root: Path) -> None:
    systemd = BootedSystemd()
    done = Programs(systemd).start(("true",), as_root / "log", 65534)
    assert systemd.units == [TransientUnit(("/usr/bin/true",), user=65534)]
    assert done.reason == "it has to start in the session of account 65534: Host is down"
    assert not (as_root / "log").exists()


def test_no_value_of_an_environment_is_on_a_command_line(
    as_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = as_root / "systemd-run"
    script.write_text('#!/bin/sh\ntr "\\0" "\\n" < /proc/$$/cmdline; env\n')
    script.chmod(0o755)
    monkeypatch.setattr("repoint.host.run.SYSTEM_PATH", f"{as_root}:/usr/bin:/bin")
    for name, value in HOSTILE.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("INVOCATION_ID", "1")
    for unit in (TransientUnit(("true",)), TransientUnit(("true",), user=65534)):
        output = Systemd().start_transient(unit).output
        assert "true" in output
        assert not any(value in output for value in ("hunter2", "nowhere", ":7", "setenv"))
    log = as_root / "programs/log"
    Programs(BootedSystemd()).start(("true",), log, None)
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    done = Host.local().programs.start(("no-such-program", "x"), tmp_path / "log", None)
    assert done == StartedProgram("no-such-program x", "there is no such program")
    assert not done.started


def test_what_systemd_passes_to_one_service_is_not_passed_on() -> None:
    variables = {"HOME": "/root", "NOTIFY_SOCKET": "/run/n", "LISTEN_FDS": "1"}
    assert environment_for(variables) == {"HOME": "/root"}
