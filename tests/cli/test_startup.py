"""What a command imports before it does its work: imports are most of a command's start-up time."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.cli.app import ENTRIES, command_tree
from tests.cli.command import environment, repoint, works
from tests.places import Place
from tests.world import Vendor

HEAVY = {
    "annotated_types", "babel", "cryptography", "hdiffpatch", "numpy", "pydantic", "rich",
    "starlette", "tuf", "urllib3", "uvicorn",
}  # fmt: skip
"""Packages that take longer to import than most commands take to run."""


def imports_of(*arguments: str) -> set[str]:
    """Run a command; return the packages that it has imported when it ends."""
    code = (
        "import atexit, os, sys\n"
        "def report():\n"
        "    names = {name.partition('.')[0] for name in sys.modules}\n"
        "    print('IMPORTS', *sorted(names), file=sys.stderr)\n"
        "atexit.register(report)\n"
        "os.execve = lambda *ignored: sys.exit(0)\n"
        f"sys.argv[1:] = {list(arguments)!r}\n"
        "from repoint.cli import main\n"
        "main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False,
        env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("IMPORTS")]
    return set(line.split()[1:])


def test_a_launched_program_pays_for_no_library(enrolled: Place) -> None:
    imported = imports_of("launch", "--store", str(enrolled.folder / "store"), "true")
    assert not imported & {*HEAVY, "dataclasses", "inspect", "msgspec", "pathlib", "typer"}


def test_the_launcher_of_an_empty_store_pays_for_no_library(tmp_path: Path) -> None:
    imported = imports_of("launch", "--store", str(tmp_path), "true")
    assert not imported & {*HEAVY, "dataclasses", "inspect", "msgspec", "pathlib", "typer"}


@pytest.mark.parametrize("option", ["", "--json"])
def test_the_status_imports_nothing_heavy(enrolled: Place, option: str) -> None:
    store = str(enrolled.folder / "store")
    imported = imports_of("status", "--store", store, *filter(None, [option]))
    assert not imported & {*HEAVY, "dataclasses", "subprocess", "tomllib", "typer"}


@pytest.mark.parametrize(
    "options",
    [("--store", "{}"), ("-s", "{}"), ("--store={}",), ("--store", "{}", "-p", "acme-kiosk")],
)
def test_every_form_of_the_status_answers_the_same(
    enrolled: Place, options: tuple[str, ...]
) -> None:
    store = enrolled.folder / "store"
    given = [option.format(store) for option in options]
    # Only the command-line library parses an option with its value in one word.
    parsed_by_library = works("status", f"-s{store}")
    assert without_age(works("status", *given)) == without_age(parsed_by_library)


def without_age(status: str) -> str:
    """Return a status without how long ago the last check was."""
    return re.sub(r" \(\d+ \w+ ago\)", "", status)


def test_the_status_explains_wrong_usage_as_every_command_does(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    assert "No such option: --jsno" in repoint("status", "--store", store, "--jsno").err
    assert repoint("status", "--store", store, "--product", "").status == 1
    assert "Usage: repoint status [OPTIONS]" in works("status", "--help")


def test_the_help_imports_neither_the_commands_nor_a_layout_library() -> None:
    assert not imports_of("--help") & {*HEAVY, "msgspec"}


def test_the_version_is_printed_without_the_command_line_library() -> None:
    assert not imports_of("--version") & {*HEAVY, "msgspec", "typer"}


def test_the_help_lists_each_command_with_the_first_line_of_its_own_help() -> None:
    commands = command_tree().commands
    assert list(commands) == list(ENTRIES)
    for name, command in commands.items():
        first = " ".join(command.help.split("\n\n")[0].split())
        assert first == ENTRIES[name].help, name


@pytest.mark.parametrize(
    "arguments", [("launch", "--help"), ("launch", "-h"), ("launch", "--store", "/x", "--help")]
)
def test_the_help_of_the_launcher_is_that_of_every_command(arguments: tuple[str, ...]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "repoint", *arguments],
        capture_output=True, text=True, check=True, env=environment(),
    )  # fmt: skip
    assert "Usage: repoint launch [OPTIONS]" in done.stdout


def test_the_launcher_activates_what_is_staged(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    store, main = place.folder / "store", place.graft / "main.py"
    assert works("launch", "--store", store, "cat", main) == "VERSION = 'new'\n"
    assert place.device.status(None).in_force == "26.3.1 (a)"


@pytest.mark.parametrize(
    "options", [("--store", "{}"), ("-s", "{}"), ("--store={}",), ("--store", "{}", "--")]
)
def test_every_form_of_the_launcher_names_the_tree(
    enrolled: Place, options: tuple[str, ...]
) -> None:
    store = enrolled.folder / "store"
    given = [option.format(store) for option in options]
    out = works("launch", *given, "echo", "--file", enrolled.graft / "main.py")
    assert out == f"--file {os.path.realpath(enrolled.graft)}/main.py\n"


@pytest.mark.one_quick
@pytest.mark.parametrize("damage", [b"{", b"{}", b'{"grafts": [{}]}', b'{"grafts": 1}', b"\xff"])
def test_a_damaged_enrolment_stops_the_launcher_as_it_stops_the_status(
    place: Place, damage: bytes
) -> None:
    place.enroll()
    store = place.folder / "store"
    (store / "products" / place.vendor.product / "enrolment.json").write_bytes(damage)
    launched = repoint("launch", "--store", store, "true")
    assert launched.status == 1
    assert launched.err == repoint("status", "--store", store).err
