"""A command whose extra is not installed names the extra, and does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.command import environment, everything, works
from tests.places import Place

PAGE = ("argon2", "babel", "jinja2", "markupsafe", "pam", "starlette", "uvicorn")
FLEET = ("alembic", "duckdb", "obstore", "psycopg", "sqlalchemy", "starlette", "uvicorn")
VENDOR = ("debian", "hdiffpatch", "starlette", "tomli_w", "uvicorn")


def without(packages: tuple[str, ...], *arguments: str) -> tuple[int, str, str]:
    """Run a command where packages cannot be imported; return its status, output and errors."""
    code = (
        "import sys\n"
        f"sys.modules.update(dict.fromkeys({packages!r}))\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "from repoint.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def test_the_settings_page_names_its_extra(enrolled: Place) -> None:
    store = str(enrolled.folder / "store")
    before = everything(enrolled.folder)
    status, out, err = without(PAGE, "settings", "--store", store)
    assert (status, out) == (1, "")
    assert err == (
        "repoint: `repoint settings` needs the extra page, which is not installed "
        "(no module argon2). Run `pip install 'repoint[page]'`\n"
    )
    assert everything(enrolled.folder) == before


def test_a_setting_can_be_changed_without_the_page(enrolled: Place) -> None:
    store = str(enrolled.folder / "store")
    status, out, err = without(PAGE, "settings", "automatic", "off", "--store", store)
    assert (status, err) == (0, "")
    assert out == "Automatically Install: off\nShare Reports: off\n"


@pytest.mark.parametrize("command", ["init", "refresh", "rotate"])
def test_a_repository_is_neither_created_nor_changed_without_the_extra(
    tmp_path: Path, command: str
) -> None:
    words = {"init": [str(tmp_path / "new")], "refresh": [], "rotate": ["root"]}[command]
    status, out, err = without(VENDOR, "repository", command, *words)
    assert (status, out) == (1, "")
    assert err == (
        f"repoint: `repoint repository {command}` needs the extra vendor, which is not installed "
        "(no module tomli_w). Run `pip install 'repoint[vendor]'`\n"
    )
    assert not any(tmp_path.iterdir())


def test_a_command_for_vendors_names_its_extra(tmp_path: Path) -> None:
    works("repository", "init", tmp_path / "repository", "--no-passphrase")
    status, out, err = without(VENDOR, "serve", "--repository", str(tmp_path / "repository"))
    assert (status, out) == (1, "")
    assert err.startswith("repoint: `repoint serve` needs the extra vendor, which is not installed")
    assert err.endswith("Run `pip install 'repoint[vendor]'`\n")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [("status",), ("status", "--json"), ("history",), ("check",), ("policy",), ("motd",),
     ("agent", "run-once"), ("restart", "--help"), ("improve", "--help")],
)  # fmt: skip
def test_a_device_needs_no_extra(enrolled: Place, arguments: tuple[str, ...]) -> None:
    options = () if "--help" in arguments else ("--store", str(enrolled.folder / "store"))
    status, _, err = without((*PAGE, *VENDOR), *arguments, *options)
    assert (status, err) == (0, "")


def test_a_command_for_operators_of_a_fleet_names_its_extra(tmp_path: Path) -> None:
    database = f"sqlite:///{tmp_path}/fleet.db"
    status, out, err = without(FLEET, "fleet", "serve", "--database", database)
    assert (status, out) == (1, "")
    assert err.startswith("repoint: `repoint fleet serve` needs the extra fleet, which is not")
    assert err.endswith("Run `pip install 'repoint[fleet]'`\n")
    assert err.count("\n") == 1
    assert not any(tmp_path.iterdir())
