"""Each extra brings all that its part needs, with nothing from the others."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.cli.command import SECONDS, environment, refusal
from tests.packaging.environments import make_environment, run
from tests.places import Place
from tests.world import FIXED, OLD, PLATFORM, write_tree

ADVISORY = """\
title = "A security update"

[[fix]]
cves = ["CVE-2023-4863"]
component = "engine"
impact = "Opening a picture may run an attacker's code"
description = "A buffer overflow was addressed."
"""

LOAD = """\
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    module = importlib.import_module(name)
    for inner in pkgutil.walk_packages(module.__path__, name + "."):
        if not inner.name.endswith("__main__"):
            importlib.import_module(inner.name)
"""


def loads(python: Path, *packages: str) -> None:
    completed = subprocess.run(
        [python, "-I", "-c", LOAD, *packages],
        capture_output=True, text=True, timeout=SECONDS, env=environment(), check=False,
    )  # fmt: skip
    assert completed.returncode == 0, completed.stderr


@pytest.mark.slow
def test_a_vendor_makes_a_repository_and_publishes_with_the_extra_vendor(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "vendor", "vendor")
    old, fixed = write_tree(tmp_path / "old", OLD), write_tree(tmp_path / "fixed", FIXED)
    advisory = tmp_path / "advisory.toml"
    advisory.write_text(ADVISORY)
    repository = ("--repository", tmp_path / "repository")
    for command in (
        ("repository", "init", tmp_path / "repository", "--no-passphrase"),
        ("baseline", "add", "kiosk", "--version", "1.0", "--build", "1A1", "--platform", PLATFORM,
         "--component", f"engine={old}", "--no-passphrase", *repository),
        ("improve", "kiosk", "--version", "1.0", "--component", f"engine={fixed}",
         "--advisory", advisory, *repository),
        ("publish", "kiosk", *repository),
    ):  # fmt: skip
        answer = run(python, *command)
        assert answer.status == 0, answer
    loads(python, "repoint.publisher", "repoint.repository")


@pytest.mark.one_quick
@pytest.mark.parametrize("extras", [(), ("vendor",)])
def test_without_the_extra_page_its_commands_say_what_to_install(
    tmp_path: Path, place: Place, extras: tuple[str, ...]
) -> None:
    python = make_environment(tmp_path / "environment", *extras)
    place.enroll()
    store = ("--store", place.folder / "store")
    refusal(run(python, "settings", "passcode", *store), "pip install 'repoint[page]'")


def test_without_the_extra_vendor_its_commands_say_what_to_install(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "plain")
    answer = run(python, "serve", "--repository", tmp_path)
    refusal(answer, "`repoint serve` needs the extra vendor", "pip install 'repoint[vendor]'")


def test_the_page_loads_with_the_extra_page(tmp_path: Path) -> None:
    loads(make_environment(tmp_path / "page", "page"), "repoint.page")


def test_a_plain_device_loads_every_room_of_a_device(tmp_path: Path) -> None:
    rooms = ("model", "fs", "tree", "image", "host", "device", "agent")
    loads(make_environment(tmp_path / "plain"), *(f"repoint.{room}" for room in rooms))


@pytest.mark.slow
def test_the_fleet_loads_with_the_extra_fleet_and_opens_a_database(tmp_path: Path) -> None:
    python = make_environment(tmp_path / "fleet", "fleet")
    rooms = ("advisories", "events", "guard", "intake", "interfaces", "page")
    loads(python, *(f"repoint.fleet.{room}" for room in rooms))
    code = (
        "from repoint.fleet.stores.opening import open_state\n"
        f"print(open_state('sqlite:///{tmp_path}/fleet.db').products())"
    )
    completed = subprocess.run(
        [python, "-I", "-c", code],
        capture_output=True, text=True, timeout=SECONDS, env=environment(), check=False,
    )  # fmt: skip
    assert (completed.stdout, completed.stderr) == ("[]\n", "")
