"""The units of the fleet's services: systemd accepts them, and the guide shows them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import works
from tests.fleet.collector import CollectorProcess
from tests.fleet.postgresql import PostgreSQLServer
from tests.fleet.reports import count

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs/fleet-operators.md"
UNITS = sorted((ROOT / "packaging/fleet").glob("*.service"))
PROGRAM = "/opt/repoint/bin/repoint"

needs_analyze = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze here"
)


def values(unit: Path, name: str) -> list[str]:
    """Return the values of a setting."""
    return re.findall(rf"^{name}=(.*)$", unit.read_text(), flags=re.MULTILINE)


def environment(unit: Path) -> dict[str, str]:
    pairs = [pair for line in values(unit, "Environment") for pair in line.split()]
    return dict(pair.split("=", 1) for pair in pairs)


def test_there_is_a_unit_for_each_service() -> None:
    names = {unit.stem.removeprefix("repoint-fleet-") for unit in UNITS}
    assert names == {"collector", "guard", "page"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_guide_shows_the_unit_as_it_is(unit: Path) -> None:
    assert f"```ini\n# {unit.name}\n{unit.read_text()}```" in GUIDE.read_text()


@needs_analyze
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_systemd_finds_nothing_wrong_and_the_service_is_shut_in(unit: Path, tmp_path: Path) -> None:
    copy = tmp_path / unit.name
    copy.write_text(unit.read_text().replace(PROGRAM, sys.executable))
    for arguments in (("verify", "--man=no"), ("security", "--offline=true", "--threshold=25")):
        done = subprocess.run(
            ["systemd-analyze", *arguments, str(copy)], capture_output=True, text=True, check=False
        )
        lines = [line for line in done.stderr.splitlines() if "repoint-" in line]
        assert (done.returncode, lines) == (0, []), done.stdout + done.stderr


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_the_command_of_a_unit_has_the_options_that_it_names(unit: Path) -> None:
    (command,) = values(unit, "ExecStart")
    program, *words = command.split()
    assert program == PROGRAM
    said = works(*words[:2], "--help")
    assert [word for word in words if word.startswith("--") and word not in said] == []


def test_no_two_services_share_a_folder_and_no_unit_holds_a_secret() -> None:
    folders = [folder for unit in UNITS for folder in values(unit, "StateDirectory")]
    assert len(folders) == len(set(folders)) == 2
    for unit in UNITS:
        assert "password" not in " ".join(environment(unit).values()).lower()
        assert environment(unit)["PGSERVICEFILE"] == "%d/database"
        assert values(unit, "LoadCredential") == ["database:/etc/repoint-fleet/database"]


def test_the_database_is_found_by_the_service_file_of_the_guide(
    postgresql: PostgreSQLServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = re.search(
        r"```ini\n# /etc/repoint-fleet/database.*?\n(.*?)```", GUIDE.read_text(), re.S
    )
    assert example is not None
    name = postgresql.new_database().rpartition("/")[2]
    here = {"host": f"127.0.0.1\nport={postgresql.port}", "dbname": name, "user": "repoint",
            "sslmode": "prefer"}  # fmt: skip
    lines = [
        f"{key}={here.get(key, value)}" if equals else key
        for key, equals, value in (line.partition("=") for line in example[1].splitlines())
        if key != "sslrootcert"
    ]
    (tmp_path / "database").write_text("\n".join(lines) + "\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "database"))
    collector = CollectorProcess(environment(UNITS[0])["REPOINT_FLEET_DATABASE"])
    assert collector.send([count()]).status == 202
    assert collector.stop() == 0
