"""Who watches what is on trial: a transient unit of systemd."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from repoint.agent.units.start import CannotHandOverError, start_watch
from repoint.host.systemd.services import Systemd


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """systemd-run and systemctl are replaced by scripts, which log their arguments."""
    for name, status in (("systemd-run", "refused"), ("systemctl", "watched")):
        script = tmp_path / name
        script.write_text(
            f'#!/bin/sh\necho "$@" >> {tmp_path}/{name}.log\n'
            f"[ ! -e {tmp_path}/{status} ] || {{ echo Unit exists. >&2; exit 1; }}\n"
        )
        script.chmod(0o755)
    monkeypatch.setattr("repoint.host.run.SYSTEM_PATH", f"{tmp_path}:/bin")
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin")
    return tmp_path


def test_the_watch_waits_for_nothing_and_blocks_nothing(systemd: Path) -> None:
    start_watch(Path("/srv/a store"), Systemd())
    commands = (systemd / "systemd-run.log").read_text()
    assert "--no-block" in commands
    assert "--unit=repoint-watch.service" in commands
    assert commands.endswith(
        f"{sys.executable} -I -X utf8 -m repoint system watch --store /srv/a store\n"
    )
    assert ("--property=DefaultDependencies=no" in commands) == (os.geteuid() == 0)


def test_one_that_watches_already_is_enough(systemd: Path) -> None:
    (systemd / "refused").touch()
    start_watch(Path("/srv/store"), Systemd())
    assert "is-active repoint-watch.service" in (systemd / "systemctl.log").read_text()


def test_a_watch_that_systemd_does_not_permit_is_an_error(systemd: Path) -> None:
    (systemd / "refused").touch()
    (systemd / "watched").touch()
    with pytest.raises(CannotHandOverError, match=r"repoint-watch.service .*: Unit exists\."):
        start_watch(Path("/srv/store"), Systemd())
