"""The rooms of the page: data goes one way, and opening the page loads no web server."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import repoint.page

PAGE = Path(repoint.page.__file__).parent

# Each imports only from earlier ones.
FLOORS = [
    {"i18n"},
    {"page_store", "timed_protocol"},
    {"auth"},
    {"connections", "jobs", "idle_timeout"},
    {"app_state"},
    {"views"},
    {"app"},
    {"control_socket"},
    {"control_server", "open_page"},
    {"server"},
    {"__main__"},
]
FLOOR_OF = {name: number for number, names in enumerate(FLOORS) for name in names}

PACKAGES = {"argon2", "babel", "jinja2", "pam", "starlette", "uvicorn"}
"""The packages of the extra that brings the page."""
WEB_SERVER = {"starlette", "uvicorn"}
"""Those that the vendor's extra brings as well, to serve a repository."""
TEMPLATES = {"jinja2"}
"""The one that it brings as well, to tell the world."""


def imports_of(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def room_of(file: Path) -> str:
    return file.relative_to(PAGE).parts[0].removesuffix(".py")


def test_no_part_of_the_page_imports_a_later_one() -> None:
    for file in PAGE.rglob("*.py"):
        room = room_of(file)
        if room == "__init__":
            continue
        rooms = {
            name.split(".")[2] for name in imports_of(file) if name.startswith("repoint.page.")
        }
        later = {other for other in rooms - {room} if FLOOR_OF[other] >= FLOOR_OF[room]}
        assert not later, f"{file} imports {later}"


@pytest.mark.slow
def test_only_the_pages_need_the_packages_of_their_extra() -> None:
    for file in PAGE.parent.rglob("*.py"):
        if PAGE in file.parents:
            continue
        allowed = WEB_SERVER if file.parent.name == "repository" else set()
        allowed = TEMPLATES if file.parent.name == "feeds" else allowed
        allowed = PACKAGES if "fleet" in file.parts else allowed
        packages = {name.split(".")[0] for name in imports_of(file)}
        assert packages & PACKAGES <= allowed, file


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_opening_the_page_and_setting_a_passcode_load_no_web_server() -> None:
    loaded = loaded_by("import repoint.page.open_page, repoint.page.auth.passcodes")
    assert loaded & PACKAGES == set()
    assert "asyncio" not in loaded


def test_the_command_that_changes_the_switch_loads_nothing_of_the_page() -> None:
    loaded = loaded_by("import repoint.cli.device.settings, repoint.cli.device.device")
    assert loaded & PACKAGES == set()
