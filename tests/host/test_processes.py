"""The kernel's view of running processes."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from repoint.host.kernel.boot import Boot
from repoint.host.kernel.memory_maps import MappedFile, mapped_files
from repoint.host.kernel.processes import Process, Processes
from tests.places import wait_for


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen[bytes]]:
    code = "import time; print('ready', flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    yield process
    process.kill()
    process.communicate()


def test_a_running_process_is_among_all_and_this_one_is_not(
    sleeper: subprocess.Popen[bytes],
) -> None:
    pids = [process.pid for process in Processes().all()]
    assert sleeper.pid in pids
    assert os.getpid() not in pids


def test_a_process_shows_its_program_and_its_files(sleeper: subprocess.Popen[bytes]) -> None:
    process = Process(Path(f"/proc/{sleeper.pid}"))
    executable = str(Path(sys.executable).resolve())
    assert process.executable() == executable
    assert executable in {file.path for file in mapped_files(process.memory_map())}
    assert process.has_our_root()
    assert Processes().command_line(sleeper.pid)[0] == sys.executable


def test_an_identity_is_the_same_while_the_process_runs_and_names_its_account(
    sleeper: subprocess.Popen[bytes],
) -> None:
    process = Process(Path(f"/proc/{sleeper.pid}"))
    identity = process.identity()
    assert identity == process.identity()
    assert (identity.pid, identity.user) == (sleeper.pid, os.geteuid())
    assert 0 < identity.started / os.sysconf("SC_CLK_TCK") <= Boot().uptime() + 1


def test_a_process_is_opened_only_if_it_is_still_the_same(
    sleeper: subprocess.Popen[bytes],
) -> None:
    identity = Process(Path(f"/proc/{sleeper.pid}")).identity()
    os.close(Processes().open(identity))
    with pytest.raises(ProcessLookupError):
        Processes().open(msgspec.structs.replace(identity, started=identity.started + 1))


def test_the_start_time_is_found_behind_any_program_name(tmp_path: Path) -> None:
    folder = tmp_path / "12"
    folder.mkdir()
    fields = " ".join(str(number) for number in range(4, 30))
    (folder / "stat").write_text(f"12 (a) b (c)) S {fields}\n")
    assert Process(folder).started() == 22


def test_what_has_ended_has_no_owner_and_no_arguments(sleeper: subprocess.Popen[bytes]) -> None:
    processes = Processes()
    assert processes.user_of(sleeper.pid) is not None
    sleeper.kill()
    sleeper.wait()
    assert processes.user_of(sleeper.pid) is None
    assert processes.command_line(sleeper.pid) == ()


def test_a_memory_map_is_read_as_the_kernel_writes_it() -> None:
    text = (
        b"7f00-7f01 r-xp 00000000 fd:01 1234       /srv/a b/lib.so\n"
        b"7f01-7f02 rw-p 00000000 00:00 0 \n"
        b"7f02-7f03 r--p 00001000 00:2a 7          /srv/gone.so (deleted)\n"
    )
    assert list(mapped_files(text)) == [
        MappedFile("/srv/a b/lib.so", "fd:01", 1234, "7f00-7f01", executable=True),
        MappedFile("/srv/gone.so", "00:2a", 7, "7f02-7f03", deleted=True),
    ]


def test_a_removed_program_keeps_its_path(tmp_path: Path) -> None:
    program = tmp_path / "sleep"
    program.write_bytes(Path("/bin/sleep").resolve().read_bytes())
    program.chmod(0o755)
    process = subprocess.Popen([program, "600"])
    try:
        folder = Path(f"/proc/{process.pid}")
        wait_for(lambda: (folder / "comm").read_text() == "sleep\n")
        program.unlink()
        assert Process(folder).executable() == str(program)
    finally:
        process.kill()
        process.wait()


def test_every_boot_has_an_identity_and_an_age(tmp_path: Path) -> None:
    assert Boot().identity()
    assert Boot().uptime() > 0
    assert Boot(proc=tmp_path).identity() == ""


@pytest.mark.parametrize(
    ("login", "mode", "expected"),
    [("0", 0o755, False), ("4294967295", 0o755, False), ("", 0o755, False), (None, 0o755, False),
     ("1000", 0o755, True), ("0", 0o4755, True), ("4294967295", 0o4711, True), ("0", None, True)],
)  # fmt: skip
def test_root_may_be_another_account_after_a_login_or_through_a_set_user_id_program(
    tmp_path: Path, login: str | None, mode: int | None, expected: bool
) -> None:
    process = tmp_path / "7"
    process.mkdir()
    if login is not None:
        (process / "loginuid").write_text(login)
    if mode is not None:
        (process / "exe").touch()
        (process / "exe").chmod(mode)
    assert Processes(tmp_path).may_be_set_user_id(7) is expected
