"""Trees that are not in force: no privileges, and closed to other accounts."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.device.errors import StoreDamagedError
from repoint.device.store.records import Generation, Mark
from repoint.tree.errors import UnfitTreeError
from tests.cli.command import everything
from tests.places import Place
from tests.serving import WebServer
from tests.world import FIXED, NAME, OLD, Files, Vendor, write_tree

PROGRAMS = {"bin/as-owner": 0o4755, "bin/as-group": 0o2755, "bin/both": 0o6755}
BEFORE: Files = {**OLD, **dict.fromkeys(PROGRAMS, "#!/bin/sh\necho old\n")}
AFTER: Files = {**FIXED, **dict.fromkeys(PROGRAMS, "#!/bin/sh\necho new\n")}
LATE = """
import sys, time
print('ready', flush=True)
time.sleep(600)
"""


def privileged_tree(root: Path, files: Files) -> Path:
    write_tree(root, files)
    for path, mode in PROGRAMS.items():
        (root / path).chmod(mode)
    return root


class PrivilegedVendor(Vendor):
    def source(self, files: Files) -> Path:
        return privileged_tree(super().source(files), files)


@pytest.fixture
def vendor(tmp_path: Path) -> PrivilegedVendor:
    vendor = PrivilegedVendor(tmp_path / "vendor")
    vendor.baseline({"engine": BEFORE})
    vendor.release({"engine": AFTER})
    return vendor


@pytest.fixture
def place(tmp_path: Path, server: WebServer, vendor: Vendor) -> Iterator[Place]:
    place = Place(tmp_path / "device", server, vendor)
    privileged_tree(place.graft, BEFORE)
    place.enroll()
    yield place
    place.stop()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def tree_of(place: Place, letter: str) -> Path:
    """Return the tree of the engine in a generation."""
    state = place.product
    return state.store.tree(state.generations.seals(Generation.of(NAME, letter))["engine"])


def is_in_force(tree: Path) -> bool:
    return mode(tree) == 0o555 and all(
        mode(tree / path) == wanted & 0o7555 for path, wanted in PROGRAMS.items()
    )


def is_stripped(tree: Path) -> bool:
    return not any(mode(tree / path) & 0o6000 for path in PROGRAMS)


def is_barred(tree: Path) -> bool:
    return is_stripped(tree) and mode(tree) & 0o077 == 0


@pytest.mark.slow
def test_only_the_tree_in_force_has_privileges_and_is_open_to_others(place: Place) -> None:
    baseline = tree_of(place, "")
    assert is_in_force(baseline)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    letter = tree_of(place, "a")
    assert is_in_force(baseline)
    assert is_barred(letter)
    place.device.restart(None)
    assert is_in_force(letter)
    assert is_barred(baseline)
    place.device.remove(None, why="")
    assert is_in_force(baseline)
    assert not letter.exists()
    place.device.unenroll(None)
    assert {path: mode(place.graft / path) for path in PROGRAMS} == {
        path: wanted & 0o7555 | 0o200 for path, wanted in PROGRAMS.items()
    }


def test_what_still_runs_from_a_replaced_tree_can_read_it_until_it_ends(place: Place) -> None:
    place.run(LATE, launched=True)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.activate(None)
    baseline = tree_of(place, "")
    assert is_stripped(baseline)
    assert mode(baseline) & 0o555 == 0o555
    assert (baseline / "late.py").read_text() == "VERSION = 'old'\n"
    place.stop()
    place.device.check(None)
    assert is_barred(baseline)


@pytest.mark.slow
def test_a_rollback_gives_the_privileges_back(place: Place) -> None:
    place.update()
    place.product.marks.set(Generation.of(NAME, "a"), Mark("failed", 1, "crashes"))
    place.device.check(None)
    assert place.device.status(None).in_force == "26.3.1"
    assert is_in_force(tree_of(place, ""))


@pytest.mark.slow
def test_a_program_that_is_not_the_signed_one_gets_no_privileges(place: Place) -> None:
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    program = tree_of(place, "a") / "bin/as-owner"
    program.chmod(0o755)
    program.write_text("#!/bin/sh\necho evil\n")
    with pytest.raises(StoreDamagedError, match="bin/as-owner"):
        place.device.restart(None)
    assert mode(program) & 0o6000 == 0
    assert place.device.status(None).in_force == "26.3.1"
    assert is_in_force(tree_of(place, ""))


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("letter", "mode_before"), [("", 0o555), ("", 0o755), ("", 0o1555), ("a", 0o555), ("a", 0o700)]
)
def test_a_tree_that_an_interruption_left_with_privileges_loses_them(
    place: Place, letter: str, mode_before: int
) -> None:
    """Such as one that an earlier version replaced, or that was about to come into force."""
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    if not letter:
        place.device.restart(None)
    tree = tree_of(place, letter)
    if mode_before != 0o1555:  # which is written when the privileges are gone
        for path, wanted in PROGRAMS.items():
            (tree / path).chmod(wanted & 0o7555)
    tree.chmod(mode_before)
    place.device.check(None)
    assert is_barred(tree)
    assert is_in_force(place.graft.resolve())


@pytest.mark.slow
def test_a_file_that_two_trees_share_keeps_its_privileges_while_one_is_in_force(
    place: Place,
) -> None:
    """Earlier versions linked an unchanged program from one tree into the next."""
    place.update()
    baseline, letter = tree_of(place, ""), tree_of(place, "a")
    shared = letter / "bin/as-owner"
    baseline.chmod(0o555)
    (baseline / "bin").chmod(0o755)
    (baseline / "bin/as-owner").unlink()
    os.link(shared, baseline / "bin/as-owner")
    (baseline / "bin").chmod(0o555)
    place.device.check(None)
    assert is_in_force(letter)
    assert mode(baseline) == 0o500
    assert mode(baseline / "bin/as-group") == 0o555


@pytest.mark.slow
def test_privileges_are_never_shared_between_trees(place: Place, vendor: Vendor) -> None:
    vendor.release({"engine": {**AFTER, "main.py": "VERSION = 'third'\n"}}, "CVE-2023-0002")
    place.update()
    for path in PROGRAMS:
        assert (place.graft / path).stat().st_nlink == 1


def give_away(program: Path) -> None:
    os.chown(program, 65534, 0)
    program.chmod(0o4755)


@pytest.mark.one_quick
@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (give_away, "set-user-ID program of another"),
        (lambda p: os.setxattr(p, "user.note", b"x"), "extended attribute user.note"),
    ],
    ids=["owner", "attribute"],
)
def test_an_enrolment_that_would_change_what_a_program_may_do_is_refused_and_changes_nothing(
    tmp_path: Path,
    server: WebServer,
    vendor: Vendor,
    spoil: Callable[[Path], object],
    reason: str,
) -> None:
    place = Place(tmp_path / "other", server, vendor)
    spoil(privileged_tree(place.graft, BEFORE) / "bin/as-owner")
    before = everything(place.folder)
    with pytest.raises(UnfitTreeError, match=reason):
        place.enroll()
    assert everything(place.folder) == before
