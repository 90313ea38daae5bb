"""The structure of the package: imports go one way, and showing the status loads little."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import repoint

SOURCE = Path(repoint.__file__).parent
ROOMS = [
    "model", "fs", "tree", "image", "delta", "repository", "publisher", "host", "device", "agent",
    "page", "fleet", "cli",
]  # fmt: skip

MOST_FILES = 12
"""In one room, besides `__init__` and `__main__`."""
FLAT_ROOMS = {"model"}
"""Rooms that hold one file for each document, however many there are."""

DEVICE_ROOMS = [
    "store", "policy", "strategy", "fetch", "status", "report", "activate", "update",
]  # fmt: skip


def imports_of(file: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        found |= {n.split(".")[1] for n in names if n.startswith("repoint.")}
    return found


def test_no_room_imports_one_that_comes_after_it() -> None:
    for number, room in enumerate(ROOMS):
        for file in (SOURCE / room).rglob("*.py"):
            later = imports_of(file) & set(ROOMS[number + 1 :])
            assert not later, f"{file} imports {later}"


def test_inside_the_device_no_room_imports_one_that_comes_after_it() -> None:
    for number, room in enumerate(DEVICE_ROOMS):
        for file in (SOURCE / "device" / room).rglob("*.py"):
            for later in DEVICE_ROOMS[number + 1 :]:
                assert f"from repoint.device.{later}" not in file.read_text(), file


def test_the_device_does_not_need_the_vendor_and_the_delta_engine_knows_no_trees() -> None:
    for file in (SOURCE / "device").rglob("*.py"):
        assert "publisher" not in imports_of(file), file
    for file in (SOURCE / "delta").rglob("*.py"):
        assert not imports_of(file) & {"tree", "image"}, file


def test_the_fleet_knows_of_devices_nothing_but_their_reports() -> None:
    for file in (SOURCE / "fleet").rglob("*.py"):
        assert not imports_of(file) & {"host", "device", "agent"}, file


def test_no_file_has_grown_past_one_subject() -> None:
    for file in SOURCE.rglob("*.py"):
        assert len(file.read_text().splitlines()) <= 400, file


def test_no_room_holds_more_files_than_a_reader_can_survey() -> None:
    for room in {file.parent for file in SOURCE.rglob("*.py")}:
        files = [file for file in room.glob("*.py") if not file.name.startswith("__")]
        name = str(room.relative_to(SOURCE))
        assert len(files) <= MOST_FILES or name in FLAT_ROOMS, f"{name}: divide it by its subjects"


def test_showing_the_status_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from repoint.cli.app import app\n"
        "import repoint.device.device, repoint.device.status.status, repoint.cli.device.status_view\n"
        "heavy = {'numpy', 'tuf', 'cryptography', 'hdiffpatch', 'backports.zstd', 'compression.zstd', 'urllib3',"
        " 'starlette', 'rich.progress', 'sqlite3'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
