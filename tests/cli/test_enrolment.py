"""Enrolment through the command: refused, interrupted, superseded and taken back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from tests.cli.command import Answer, environment, everything, refusal, repoint, works
from tests.places import Place
from tests.world import FIXED, NAME, OLD, PLATFORM, Vendor


def arguments(place: Place, *more: str) -> tuple[str, ...]:
    return (
        "enroll", place.server.url, "--product", place.vendor.product,
        "--root", str(place.vendor.public / "metadata/1.root.json"),
        "--graft", f"engine={place.graft}", "--platform", PLATFORM,
        "--store", str(place.folder / "store"), *more,
    )  # fmt: skip


def nothing_was_made(place: Place, before: dict[str, str]) -> None:
    assert everything(place.folder / "app") == before
    assert sorted(path.name for path in place.folder.iterdir()) == ["app"]


class TestRefused:
    def test_with_the_list_of_what_differs(self, place: Place) -> None:
        place.put({**OLD, "main.py": "changed\n", "extra.py": "new\n"})
        (place.graft / "share/readme").unlink()
        (place.graft / "late.py").chmod(0o755)
        before = everything(place.folder / "app")
        answer = repoint(*arguments(place))
        *differences, line = answer.err.splitlines()
        assert differences == [
            "  engine: extra.py is unexpected",
            "  engine: late.py has different permissions",
            "  engine: main.py has different content",
            "  engine: share/readme is missing",
        ]
        refusal(
            Answer(answer.status, answer.out, line),
            f"The files at {place.graft} are not those of acme-kiosk {NAME}: 4 paths differ",
            "Reinstall the product", "nothing was changed",
        )  # fmt: skip
        nothing_was_made(place, before)

    def test_only_the_graft_points_that_are_missing_are_asked_for(self, place: Place) -> None:
        name = BaselineName(PLATFORM, "27.0", "27A1")
        place.vendor.baseline({"engine": OLD, "shell": {"run": "x"}}, name=name)
        refusal(repoint(*arguments(place, "--version", "27.0")),
                "needs a graft point for shell. Name one with --graft for each of: shell")  # fmt: skip

    def test_a_long_list_of_differences_is_shortened(self, place: Place) -> None:
        place.put({**OLD, **{f"extra/{number:03}": "x" for number in range(100)}})
        answer = repoint(*arguments(place))
        assert answer.status == 1
        assert len(answer.err.splitlines()) == 22
        assert answer.err.splitlines()[-2] == "  engine: and 81 more paths"

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            (("--version", "27.0"), "acme-kiosk has no baseline 27.0"),
            (("--build", "1A1"), "acme-kiosk has no baseline 1A1"),
            (("--platform", "linux-riscv64"), "no baseline for linux-riscv64"),
            (("--product", "other"), "has no product other. It has: acme-kiosk"),
            (("--product", "No/Product"), "'No/Product' cannot name a product"),
            (("--graft", "motor=/"), "overlap"),
        ],
    )
    def test_for_what_the_repository_does_not_have(
        self, place: Place, more: tuple[str, ...], expected: str
    ) -> None:
        before = everything(place.folder / "app")
        refusal(repoint(*arguments(place, *more)), expected)
        nothing_was_made(place, before)

    @pytest.mark.slow
    def test_for_a_graft_point_that_cannot_be_one(self, place: Place) -> None:
        before = everything(place.folder / "app")
        for path, expected in (
            (place.graft.parent / "nothing", "There is nothing at"),
            (place.graft / "main.py", "is not a folder"),
            (place.folder, "overlap"),
        ):
            command = [a.replace(f"engine={place.graft}", f"engine={path}")
                       for a in arguments(place)]  # fmt: skip
            refusal(
                repoint(*command),
                expected,
                "Name" if expected != "There is nothing at" else "Install",
            )
            nothing_was_made(place, before)

    def test_for_a_component_that_is_named_wrongly(self, place: Place) -> None:
        command = [a.replace("engine=", "motor=") for a in arguments(place)]
        before = everything(place.folder / "app")
        refusal(repoint(*command), "has no component motor", "--graft", "engine")
        nothing_was_made(place, before)

    @pytest.mark.slow
    def test_for_what_is_enrolled_already(self, enrolled: Place) -> None:
        before = everything(enrolled.folder)
        refusal(repoint(*arguments(enrolled)), "acme-kiosk is enrolled already")
        assert everything(enrolled.folder) == before


KILLED = """
import os, signal, sys
from repoint.device.strategy import grafts, tree
from repoint.device.update.enrolment import enroll
from repoint.device.store.generations.generations import Generations
from repoint.device.store.history.history import History
from repoint.device.store.generations.links import Links

def dies(module, name, number=1, after=False):
    real, calls = getattr(module, name), []
    def call(*args, **named):
        calls.append(args)
        if len(calls) == number and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **named)
        if len(calls) == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(module, name, call)

{where}
from repoint.cli import main
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "where",
    [
        "dies(enroll, 'add_tree')",
        "dies(Generations, 'add', after=True)",
        "dies(tree, 'prepare_graft', after=True)",
        "dies(Links, 'point_active')",
        "dies(grafts, 'exchange')",
        "dies(grafts, 'exchange', after=True)",
        "dies(History, 'add')",
    ],
)
def test_interrupted_it_is_finished_by_a_second_enrolment(place: Place, where: str) -> None:
    command = [sys.executable, "-c", KILLED.format(where=where), *arguments(place)]
    done = subprocess.run(command, env=environment(), capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert place.text() == OLD["main.py"]

    again = repoint(*arguments(place))
    if again.status != 0:  # the first one had come so far that the second one found it finished
        refusal(again, "acme-kiosk is enrolled already")
    assert place.graft.is_symlink()
    assert [path.name for path in place.graft.parent.iterdir()] == ["engine"]
    assert [entry.event for entry in place.device.history(None)] == ["enrolled"]
    assert not list(place.folder.glob("store/**/.*"))
    assert len(list((place.folder / "store/trees").iterdir())) == 1
    works("check", "--store", place.folder / "store")
    status = json.loads(works("status", "--json", "--store", place.folder / "store"))
    assert status["in_force"] == "26.3.1"
    assert [graft["in_place"] for graft in status["grafts"]] == [True]


NEXT = BaselineName(PLATFORM, "26.4", "26A10")
NEXT_FILES = {**FIXED, "main.py": "VERSION = '26.4'\n"}


@pytest.fixture
def updated(place: Place, vendor: Vendor) -> Place:
    """A device with an improvement, whose product the vendor's full update has replaced."""
    place.enroll()
    vendor.release()
    place.update()
    vendor.baseline({"engine": NEXT_FILES}, name=NEXT)
    place.put(NEXT_FILES)  # as a package manager does: the link is replaced by a new folder
    return place


class TestAFullUpdate:
    @pytest.mark.slow
    def test_supersedes_the_improvements_of_the_older_baseline(self, updated: Place) -> None:
        store = updated.folder / "store"
        assert "replaced   engine" in works("status", "--store", store)
        assert "is up to date" in works("check", "--store", store)
        status = json.loads(works("status", "--json", "--store", store))
        assert (status["version"], status["build"]) == ("26.4", "26A10")
        assert (status["in_force"], status["staged"], status["cves"]) == ("26.4", "", [])
        assert updated.text() == NEXT_FILES["main.py"]
        assert updated.graft.is_symlink()
        history = works("history", "--store", store)
        assert "superseded" in history
        assert f"by {NEXT}" in history

    @pytest.mark.slow
    def test_leaves_nothing_of_the_older_baseline(self, updated: Place) -> None:
        works("check", "--store", updated.folder / "store")
        assert [g.folder for g in updated.product.generations.all()] == ["26.4-26A10-baseline"]
        assert [p.name for p in (updated.folder / "store/trees").iterdir()] == [
            updated.graft.resolve().name
        ]
        assert updated.product.links.previous() is None
        left = everything(updated.product.path, "history.jsonl", "metadata")
        assert [path for path in left if "26.3.1" in path or "26.3.1" in left[path]] == []

    @pytest.mark.slow
    def test_gets_improvements_of_its_own(self, updated: Place, vendor: Vendor) -> None:
        store = updated.folder / "store"
        works("check", "--store", store)
        vendor.release({"engine": {**NEXT_FILES, "main.py": "fixed again\n"}}, name=NEXT)
        works("check", "--store", store)
        works("install", "--store", store)
        works("restart", "--store", store)
        assert updated.text() == "fixed again\n"
        assert "26.4 (a)" in works("status", "--store", store)

    @pytest.mark.slow
    def test_that_is_no_baseline_is_refused_and_stays(self, updated: Place) -> None:
        updated.put({**NEXT_FILES, "main.py": "somebody's own\n"})
        before = everything(updated.folder, "metadata")
        answer = repoint("check", "--store", updated.folder / "store")
        refusal(answer, f"are not those of acme-kiosk {NEXT}: 1 path differs")
        assert everything(updated.folder, "metadata") == before
        assert "replaced   engine" in works("status", "--store", updated.folder / "store")


class TestTakenBack:
    def test_plain_folders_replace_the_links(self, place: Place) -> None:
        stood = everything(place.folder / "app")
        place.enroll()
        works("unenroll", "--store", place.folder / "store")
        assert not place.graft.is_symlink()
        assert everything(place.folder / "app") == stood
        left = {str(p.relative_to(place.folder / "store")) for p in place.folder.glob("store/**/*")}
        assert left <= {"lock", "policy.json", "products", "trees"}
        (place.graft / "main.py").write_text("mine again\n")
        refusal(repoint("status", "--store", place.folder / "store"), "No product is enrolled")

    def test_it_can_be_enrolled_again(self, place: Place) -> None:
        place.enroll()
        works("unenroll", "--store", place.folder / "store")
        works(*arguments(place))
        assert place.graft.is_symlink()

    @pytest.mark.slow
    def test_an_improvement_must_be_removed_first(self, place: Place, vendor: Vendor) -> None:
        place.enroll()
        vendor.release()
        place.update()
        before = everything(place.folder)
        refusal(repoint("unenroll", "--store", place.folder / "store"),
                "An improvement of acme-kiosk is installed", "repoint remove")  # fmt: skip
        assert everything(place.folder) == before
        works("remove", "--store", place.folder / "store")
        works("unenroll", "--store", place.folder / "store")
        assert place.text() == OLD["main.py"]


class TestNothingIsEnrolled:
    @pytest.mark.parametrize(
        "command",
        [("status",), ("check",), ("install",), ("restart",), ("remove",), ("history",),
         ("settings",), ("settings", "automatic", "off"), ("unenroll",)],
    )  # fmt: skip
    def test_every_command_reports_it_and_creates_nothing(
        self, tmp_path: Path, command: tuple[str, ...]
    ) -> None:
        answer = repoint(*command, "--store", tmp_path / "store")
        refusal(answer, f"No product is enrolled in {tmp_path / 'store'}", "repoint enroll")
        assert list(tmp_path.iterdir()) == []


def test_nothing_to_install_remove_or_restart_is_an_error(enrolled: Place) -> None:
    store = enrolled.folder / "store"
    before = everything(enrolled.folder)
    refusal(repoint("remove", "--store", store), "No improvement of acme-kiosk is installed")
    refusal(repoint("restart", "--store", store), "Nothing waits for a restart")
    refusal(repoint("check", "--product", "other", "--store", store), "other is not enrolled",
            "acme-kiosk")  # fmt: skip
    answer = repoint("launch", "--store", store, "no-such-program")
    refusal(answer, "There is no program no-such-program")
    assert everything(enrolled.folder) == before
