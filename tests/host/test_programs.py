"""Programs that outlive Repoint, and the accounts that they run as."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from repoint.host.host import Host
from repoint.host.programs import StartedProgram, environment_for
from tests.places import wait_for


def test_a_program_is_started_as_the_account_that_ran_it_with_its_environment(
    tmp_path: Path,
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can start programs of others")
    tmp_path.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "DISPLAY": ":7", "NOTIFY_SOCKET": "/run/n"}
    sleeper = subprocess.Popen(["sleep", "60"], user=65534, group=65534, env=environment)
    process = Path(f"/proc/{sleeper.pid}")
    # The kernel names a program before it has laid out what the program was given.
    wait_for(lambda: (process / "comm").read_text() == "sleep\n"
             and bool((process / "environ").read_bytes()))  # fmt: skip
    host = Host.local()
    owner = host.processes.owner_of(sleeper.pid)
    sleeper.kill()
    sleeper.wait()
    assert owner is not None
    assert (owner.user, owner.group) == (65534, 65534)
    assert owner.environment == environment
    log = tmp_path / "log"
    command = ("sh", "-c", "id -u; echo $DISPLAY $NOTIFY_SOCKET; exec sleep 0")
    assert host.programs.start(command, log, owner).started
    wait_for(lambda: log.exists() and log.read_text() == "65534\n:7\n")
    assert host.processes.owner_of(sleeper.pid) is None


def test_a_program_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    done = Host.local().programs.start(("no-such-program", "x"), tmp_path / "log", None)
    assert done == StartedProgram("no-such-program x", "there is no such program")
    assert not done.started


def test_what_systemd_passes_to_one_service_is_not_passed_on() -> None:
    variables = {"HOME": "/root", "NOTIFY_SOCKET": "/run/n", "LISTEN_FDS": "1"}
    assert environment_for(variables) == {"HOME": "/root"}
