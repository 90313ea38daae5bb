"""What systemd says about processes and services, read from files and answers as it writes them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from repoint.host.run import ProgramResult
from repoint.host.systemd.services import (
    ServiceState,
    Systemd,
    TransientUnit,
    Unit,
    restarted_services,
)

KIOSK = Unit("kiosk.service")


class Answering(Systemd):
    """A systemd whose systemctl prints a fixed answer."""

    def __init__(self, output: str, tmp_path: Path) -> None:
        super().__init__(booted=tmp_path / "none", monotonic=lambda: 100.0)
        self.output = output
        self.commands: list[tuple[str, ...]] = []

    def execute(self, command: Sequence[str]) -> ProgramResult:
        self.commands.append(tuple(command))
        return ProgramResult(tuple(command), 0, self.output)


@pytest.mark.parametrize(
    ("cgroup", "unit"),
    [
        ("0::/system.slice/kiosk.service\n", Unit("kiosk.service")),
        ("0::/system.slice/system-kiosk.slice/kiosk@1.service\n", Unit("kiosk@1.service")),
        ("0::/system.slice/kiosk.service/worker\n", Unit("kiosk.service")),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/sync.service\n",
         Unit("sync.service", 7)),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/app-web@1.service\n", None),
        ("0::/user.slice/user-7.slice/user@7.service/app.slice/app-gnome-web-1.scope\n", None),
        ("0::/user.slice/user-7.slice/session-3.scope\n", None),
        ("0::/system.slice/repoint-page.service\n", None),
        ("12:cpu:/x\n1:name=systemd:/system.slice/old.service\n", Unit("old.service")),
        ("0::/\n", None),
        ("nonsense\n", None),
    ],
)  # fmt: skip
def test_the_service_of_a_process_is_found_in_its_cgroup(
    tmp_path: Path, cgroup: str, unit: Unit | None
) -> None:
    (tmp_path / "12").mkdir()
    (tmp_path / "12/cgroup").write_text(cgroup)
    systemd = Systemd(proc=tmp_path)
    assert systemd.unit_of(12) == unit
    assert systemd.unit_of(13) is None


@pytest.mark.parametrize(
    ("output", "state"),
    [
        ("ActiveState=active\nStateChangeTimestampMonotonic=90000000\nJob=\nResult=success\n",
         ServiceState(KIOSK, "active", 10.0)),
        ("ActiveState=activating\nJob=12\nResult=timeout\n",
         ServiceState(KIOSK, "activating", 100.0, queued=True, result="timeout")),
        ("", ServiceState(KIOSK, "unknown", 100.0)),
    ],
)  # fmt: skip
def test_the_state_of_a_service_is_read_from_its_properties(
    tmp_path: Path, output: str, state: ServiceState
) -> None:
    assert Answering(output, tmp_path).states([KIOSK]) == [state]


@pytest.mark.parametrize(
    ("output", "state"),
    [("running\n", "running"), ("degraded\n", "running"), ("starting\n", "starting"),
     ("maintenance\n", "starting"), ("stopping\n", "stopping")],
)  # fmt: skip
def test_the_machine_is_running_once_its_start_is_over(
    tmp_path: Path, output: str, state: str
) -> None:
    assert Answering(output, tmp_path).machine_state() == state


def test_a_service_of_another_account_is_addressed_through_its_own_systemd(tmp_path: Path) -> None:
    systemd = Answering("", tmp_path)
    systemd.stop(Unit("sync.service", os.geteuid() + 1))
    assert systemd.commands == [
        ("systemctl", "--user", f"--machine={os.geteuid() + 1}@.host", "--no-ask-password", "stop",
         "--", "sync.service")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("command", "units"),
    [
        (("systemctl", "restart", "kiosk"), (KIOSK,)),
        (("/usr/bin/systemctl", "--no-block", "restart", "kiosk.service", "a.timer"), (KIOSK,)),
        (("systemctl", "restart"), ()),
        (("service", "kiosk", "restart"), ()),
        ((), ()),
    ],
)
def test_the_services_that_a_command_restarts_are_known(
    command: tuple[str, ...], units: tuple[Unit, ...]
) -> None:
    assert restarted_services(command) == units


def test_a_transient_unit_is_described_to_systemd_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "systemd-run"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/log\n')
    script.chmod(0o755)
    monkeypatch.setattr("repoint.host.run.SYSTEM_PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    unit = TransientUnit(
        ("sh", "-c", "true"),
        name="x.service",
        properties=("Restart=on-abnormal",),
        user=65534,
        wait=False,
    )
    assert Systemd().start_transient(unit).succeeded
    assert (tmp_path / "log").read_text().splitlines() == [
        "--user", "--machine=65534@.host", "--quiet", "--collect", "--no-ask-password", "--no-block",
        "--unit=x.service", "--property=Restart=on-abnormal", "--", "sh", "-c", "true",
    ]  # fmt: skip


def test_systemd_runs_the_machine_if_its_folder_exists(tmp_path: Path) -> None:
    assert Systemd(booted=tmp_path).is_booted()
    assert not Systemd(booted=tmp_path / "none").is_booted()


@pytest.mark.parametrize(
    ("cgroup", "account"),
    [("0::/user.slice/user-1000.slice/session-3.scope", 1000),
     ("0::/user.slice/user-0.slice/session-1.scope", 0),
     ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope", 1000),
     ("0::/system.slice/kiosk.service", None), ("0::/", None), ("0::/user-1000.slice-not", None),
     ("1:name=systemd:/user.slice/user-7.slice/session-1.scope\n0::/", 7)],
)  # fmt: skip
def test_the_session_of_a_process_is_that_of_its_control_group(
    tmp_path: Path, cgroup: str, account: int | None
) -> None:
    (tmp_path / "7").mkdir()
    (tmp_path / "7/cgroup").write_text(f"{cgroup}\n")
    assert Systemd(proc=tmp_path).session_of(7) == account
    assert Systemd(proc=tmp_path).session_of(8) is None
