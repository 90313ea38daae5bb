"""Unenrolling works from every state, keeps what is not Repoint's, and says what is not there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from repoint.device.errors import StillRunningError, StoreDamagedError
from repoint.fs.removal import remove_tree
from tests.places import Place
from tests.world import OLD, Vendor, write_tree

Damage = Callable[[Place], object]


def steps(*parts: Damage) -> Damage:
    def all_of_them(place: Place) -> None:
        for part in parts:
            part(place)

    return all_of_them


def tree_of(place: Place) -> Path:
    return place.graft.resolve()


def change_in_place(place: Place) -> None:
    file = tree_of(place) / "main.py"
    file.chmod(0o644)
    file.write_text("changed by somebody\n")


def tree_becomes_a_file(place: Place) -> None:
    tree = tree_of(place)
    remove_tree(tree)
    tree.write_text("x")


def only_the_enrolment(place: Place) -> None:
    for path in place.product.path.iterdir():
        if path.name != "enrolment.json":
            remove_tree(path)


def product(place: Place, name: str) -> Path:
    return place.product.path / name


def foreign_folder(place: Place) -> None:
    place.graft.unlink()
    write_tree(place.graft, {"somebody": "else\n"})


def overwrite(place: Place, name: str, content: bytes = b"{") -> None:
    product(place, name).write_bytes(content)


def baseline_record(place: Place) -> Path:
    return next(place.product.path.glob("generations/*-baseline/baseline.json"))


BACK = {"main.py": OLD["main.py"]}

STATES: dict[str, Any] = {
    # what happened, what is at the graft point afterwards, and what is said
    "as enrolled": (lambda p: None, BACK, ""),
    "the link is gone": (lambda p: p.graft.unlink(), BACK, ""),
    "the folder above is gone": (
        lambda p: shutil.rmtree(p.graft.parent),
        None,
        "is gone, so nothing was put",
    ),
    "a foreign folder": (foreign_folder, {"somebody": "else\n"}, "stays as it is"),
    "a foreign file": (
        steps(lambda p: p.graft.unlink(), lambda p: p.graft.write_text("x")),
        None,
        "stays as it is",
    ),
    "a foreign link": (
        steps(lambda p: p.graft.unlink(), lambda p: p.graft.symlink_to("elsewhere")),
        None,
        "stays as it is",
    ),
    "a file is changed": (
        change_in_place,
        {"main.py": "changed by somebody\n"},
        "main.py has different content",
    ),
    "a file is removed": (
        lambda p: (tree_of(p) / "main.py").unlink(),
        {"late.py": OLD["late.py"]},
        "main.py is missing",
    ),
    "a file is added": (
        lambda p: (tree_of(p) / "extra").write_text("x"),
        {"extra": "x"},
        "extra is unexpected",
    ),
    "the tree is gone": (lambda p: remove_tree(tree_of(p)), None, "engine is lost"),
    "all trees are gone": (lambda p: remove_tree(p.folder / "store/trees"), None, "is lost"),
    "the tree is a file": (tree_becomes_a_file, None, "engine is lost"),
    "the enrolment is damaged": (lambda p: overwrite(p, "enrolment.json"), BACK, ""),
    "the enrolment is lost": (lambda p: product(p, "enrolment.json").unlink(), BACK, ""),
    "the enrolment is a folder": (
        steps(
            lambda p: product(p, "enrolment.json").unlink(),
            lambda p: product(p, "enrolment.json").mkdir(),
        ),
        BACK,
        "",
    ),
    "only the enrolment is there": (
        only_the_enrolment,
        None,
        "engine is lost",
    ),
    "the baseline's record is lost": (
        lambda p: baseline_record(p).unlink(),
        BACK,
        "its baseline is not known any more",
    ),
    "the baseline's record is damaged": (
        lambda p: baseline_record(p).write_bytes(b"[]"),
        BACK,
        "not known any more",
    ),
    "the generations are lost": (
        lambda p: shutil.rmtree(product(p, "generations")),
        None,
        "engine is lost",
    ),
    "the active link is lost": (lambda p: product(p, "active").unlink(), BACK, ""),
    "the active link is a file": (
        steps(lambda p: product(p, "active").unlink(), lambda p: overwrite(p, "active")),
        BACK,
        "",
    ),
    "the history is lost": (lambda p: product(p, "history.jsonl").unlink(), BACK, ""),
    "the root is lost": (lambda p: product(p, "root.json").unlink(), BACK, ""),
    "a link leads out": (
        steps(
            lambda p: (tree_of(p) / "main.py").unlink(),
            lambda p: (tree_of(p) / "main.py").symlink_to("/etc"),
        ),
        {"late.py": OLD["late.py"]},
        "not the vendor's baseline",
    ),
    "a pipe is in the way": (
        steps(
            lambda p: (tree_of(p) / "main.py").unlink(), lambda p: os.mkfifo(tree_of(p) / "main.py")
        ),
        {"late.py": OLD["late.py"]},
        "not the vendor's baseline",
    ),
    "a half copy is left": (
        lambda p: write_tree(p.graft.with_name(".engine.repoint"), {"half": "x"}),
        BACK,
        "",
    ),
}


@pytest.mark.one_quick
@pytest.mark.parametrize(("damage", "left", "message"), STATES.values(), ids=STATES.keys())
def test_it_works_from_every_state(
    place: Place, damage: Damage, left: dict[str, str | bytes] | None, message: str
) -> None:
    place.enroll()
    damage(place)
    notes = place.device.unenroll(None).notes
    assert (message in " ".join(notes)) if message else notes == ()
    assert not list(place.folder.glob("store/products/*"))
    assert not place.graft.parent.exists() or not list(place.graft.parent.glob(".engine*"))
    for name, content in (left or {}).items():
        assert not place.graft.is_symlink()
        assert (place.graft / name).read_text() == content
        (place.graft / name).write_text("the person's own again")
    if place.graft.is_symlink():
        assert str(place.graft.readlink()) == "elsewhere"


def test_what_was_given_back_can_be_enrolled_again(place: Place) -> None:
    place.enroll()
    (place.product.path / "enrolment.json").write_bytes(b"{")
    place.device.unenroll(None)
    place.enroll()
    assert place.graft.is_symlink()


@pytest.mark.slow
def test_with_an_improvement_the_improvement_is_removed_first(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.update()
    with pytest.raises(StillRunningError, match="repoint remove"):
        place.device.unenroll(None)
    place.device.remove(None, why="")
    place.device.unenroll(None)
    assert place.text() == OLD["main.py"]


def becomes_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def becomes_a_link_to_nothing(path: Path) -> None:
    path.unlink()
    path.symlink_to("nowhere")


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(b"[1]"), becomes_a_folder, becomes_a_link_to_nothing],
    ids=["other content", "a folder", "a link to nothing"],
)
@pytest.mark.parametrize(
    "record",
    ["enrolment.json", "grafts.json", "catalog.json", "checked.json", "history.jsonl"],
)
def test_with_an_improvement_that_damaged_records_keep_it_never_sends_in_a_circle(
    place: Place, vendor: Vendor, record: str, damage: Callable[[Path], object]
) -> None:
    place.enroll()
    vendor.release()
    place.update()
    damage(product(place, record))
    try:
        place.device.unenroll(None)
    except StillRunningError as error:
        assert "repoint remove" in error.hint
        place.device.remove(None, why="")
        place.device.unenroll(None)
    assert not place.graft.is_symlink()
    assert place.text() == OLD["main.py"]


@pytest.mark.slow
def test_with_an_improvement_over_a_damaged_baseline_what_runs_is_given_back(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    baseline = tree_of(place)
    vendor.release()
    place.update()
    remove_tree(baseline)
    (note,) = place.device.unenroll(None).notes
    assert "not the vendor's baseline" in note
    assert not place.graft.is_symlink()
    assert place.text() == "VERSION = 'new'\n"


def test_if_nobody_knows_the_graft_points_it_says_how_to_find_them(place: Place) -> None:
    place.enroll()
    for name in ("enrolment.json", "grafts.json"):
        (place.product.path / name).write_bytes(b"{")
    with pytest.raises(StoreDamagedError, match="find / -lname"):
        place.device.unenroll(None)
    assert place.text() == OLD["main.py"]
