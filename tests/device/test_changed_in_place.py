"""A sealed tree that was changed in place is noticed, never called protected, and can be left."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from repoint.agent.overview.overview import read_overview
from repoint.device.errors import StillRunningError, StoreDamagedError
from repoint.device.store.trees.intact import examine
from repoint.device.store.trees.trees import OPEN
from repoint.fs.removal import remove_tree
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from repoint.tree.look import look_at, touched
from repoint.tree.scan import scan_tree
from tests.cli.command import works
from tests.places import MAPS_A_LIBRARY, Place, reason_of
from tests.world import FIXED, OLD, PLATFORM, Files, Vendor, write_tree

NEXT = BaselineName(PLATFORM, "26.4", "26A10")
NEXT_FILES: Files = {
    **{path: content for path, content in OLD.items() if path != "late.py"},
    "main.py": "VERSION = '26.4'\n",
    "lib/new.so": "new",
}


def through_a_hard_link(tree: Path) -> None:
    other = tree.parent.parent / "hard link"
    other.hardlink_to(tree / "share/readme")
    with other.open("r+b") as file:
        file.write(b"HACK!")


def with_its_old_times(tree: Path) -> None:
    """A change that hides its time from all but the inode's own."""
    path = tree / "share/readme"
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"HACK!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES = {
    "written to": lambda tree: (tree / "share/readme").write_bytes(b"HACK!\n"),
    "written to through a hard link": through_a_hard_link,
    "edited as sed does": lambda tree: subprocess.run(
        ["sed", "-i", "s/hello/HACK!/", tree / "share/readme"], check=True
    ),
    "cut off": lambda tree: os.truncate(tree / "share/readme", 0),
    "removed": lambda tree: (tree / "share/readme").unlink(),
    "added": lambda tree: (tree / "share/extra").write_text("x"),
    "added at the top": lambda tree: (tree / "extra").write_text("x"),
    "made a program": lambda tree: (tree / "share/readme").chmod(0o555),
    "given privileges": lambda tree: (tree / "share/readme").chmod(0o4444),
    "a folder opened to more accounts": lambda tree: (tree / "share").chmod(0o3755),
    "exchanged for a link": lambda tree: (
        (tree / "share/readme").unlink(),
        (tree / "share/readme").symlink_to("/etc/passwd"),
    ),
    "a folder exchanged for a link": lambda tree: (
        (tree / "share").rename(tree.parent / ".away"),
        (tree / "share").symlink_to(tree.parent / ".away"),
    ),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_what_is_changed_in_place_is_not_protected(
    improved: Place, change: Callable[[Path], object]
) -> None:
    assert improved.device.status(None).protected
    change(improved.graft.resolve())
    overview = read_overview(improved.device, None)
    assert (overview.status.protected, overview.verdict) == (False, "damaged")
    assert "share" in overview.status.grafts[0].damaged or "extra" in (
        overview.status.grafts[0].damaged
    )
    with pytest.raises(StoreDamagedError, match="was changed in place") as error:
        improved.device.check(None)
    assert "reinstall" in error.value.hint.lower()


def test_a_change_that_hides_its_time_is_found_by_a_check(improved: Place) -> None:
    with_its_old_times(improved.graft.resolve())
    with pytest.raises(StoreDamagedError, match="share/readme has different content"):
        improved.device.check(None)
    last = improved.device.status(None).last_check
    assert last is not None
    assert "changed in place" in last.error


HARMLESS = {
    "another name of a file": lambda tree: (tree.parent.parent / "x").hardlink_to(tree / "main.py"),
    "the same content again": lambda tree: (tree / "main.py").write_bytes(
        (tree / "main.py").read_bytes()
    ),
    "another time": lambda tree: os.utime(tree / "main.py", (1, 1)),
    "fewer permissions": lambda tree: (tree / "main.py").chmod(0o400),
    "a file copied over itself": lambda tree: (
        (tree / "main.py").rename(tree / "old"),
        (tree / "main.py").write_bytes((tree / "old").read_bytes()),
        (tree / "old").unlink(),
    ),
}


@pytest.mark.one_quick
@pytest.mark.parametrize("change", HARMLESS.values(), ids=HARMLESS.keys())
def test_what_only_looks_changed_is_protected(
    improved: Place, change: Callable[[Path], object]
) -> None:
    tree = improved.graft.resolve()
    change(tree)
    assert improved.device.status(None).protected
    improved.device.check(None)
    entries = scan_tree(tree)
    record = (improved.folder / "store/verified" / tree.name).read_bytes()
    assert touched(tree, entries, record) == []  # the next check costs no more than a look


def test_a_device_of_an_older_version_is_examined_once(improved: Place) -> None:
    record = improved.folder / "store/verified" / improved.graft.resolve().name
    record.unlink()
    assert improved.device.status(None).protected
    improved.device.check(None)
    assert record.exists()


@pytest.mark.slow
def test_records_of_trees_that_are_gone_are_removed(improved: Place) -> None:
    improved.device.remove(None, why="")
    improved.device.check(None)
    trees = {path.name for path in (improved.folder / "store/trees").iterdir()}
    assert {path.name for path in (improved.folder / "store/verified").iterdir()} == trees


@pytest.mark.slow
def test_a_damaged_improvement_is_built_anew_after_a_removal(improved: Place) -> None:
    tree = improved.graft.resolve() / "main.py"
    tree.unlink()
    tree.write_text("changed by somebody\n")
    with pytest.raises(StoreDamagedError) as error:
        improved.device.check(None)
    assert "`repoint repair`" in error.value.hint
    improved.device.remove(None, why="")
    improved.device.install(None, user_initiated=True)
    improved.device.restart(None)
    assert improved.text() == FIXED["main.py"]
    improved.device.check(None)
    assert improved.device.status(None).protected


def staged_tree(place: Place) -> Path:
    staged = place.product.links.staged()
    assert staged is not None
    return place.device.store.tree(place.product.generations.seals(staged)["engine"])


def gains_a_file(tree: Path) -> None:
    tree.chmod(0o700)
    (tree / "extra").write_text("x")


def loses_a_file(tree: Path) -> None:
    tree.chmod(0o700)
    (tree / "main.py").unlink()


def is_written_to(tree: Path) -> None:
    (tree / "main.py").chmod(0o644)
    (tree / "main.py").write_text("changed by somebody")


@pytest.mark.one_quick
@pytest.mark.parametrize("damage", [remove_tree, gains_a_file, loses_a_file, is_written_to])
def test_a_staged_tree_that_was_changed_is_never_put_in_force_and_is_prepared_again(
    place: Place, vendor: Vendor, damage: Callable[[Path], None]
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    damage(staged_tree(place))
    with pytest.raises(StoreDamagedError) as error:
        place.device.restart(None)
    assert "`repoint install`" in error.value.hint
    assert place.text() == OLD["main.py"]
    place.device.launch(["/bin/true"], {})
    assert place.text() == OLD["main.py"]
    place.device.install(None, user_initiated=True)
    place.device.restart(None)
    assert place.text() == FIXED["main.py"]


def test_a_removal_to_a_baseline_whose_tree_is_gone_says_what_to_do(improved: Place) -> None:
    baseline = improved.product.generations.all()[-1]
    (seal,) = improved.product.generations.seals(baseline.baseline).values()
    remove_tree(improved.device.store.tree(seal))
    with pytest.raises(StoreDamagedError, match="its tree is missing") as error:
        improved.device.remove(None, why="")
    assert "`repoint check`; nothing was changed" in error.value.hint
    assert improved.text() == FIXED["main.py"]


@pytest.mark.slow
def test_a_damaged_baseline_is_built_anew_from_a_reinstalled_product(
    improved: Place, vendor: Vendor
) -> None:
    baseline = improved.product.generations.seals(improved.product.generations.all()[1])
    assert baseline
    improved.device.remove(None, why="")
    (improved.graft.resolve() / "main.py").write_text("changed by somebody\n")
    improved.put(OLD)
    improved.device.check(None)
    assert improved.graft.is_symlink()
    assert improved.text() == OLD["main.py"]
    assert improved.device.status(None).grafts[0].damaged == ""


def over(tree: Path, files: Files, gone: tuple[str, ...] = ()) -> None:
    """Put a release over a tree as dpkg does: each file beside, then renamed; then what is gone."""
    for name, content in files.items():
        path = tree / name
        path.parent.mkdir(parents=True, exist_ok=True)
        new = path.with_name(f"{path.name}.dpkg-new")
        new.write_bytes(content.encode() if isinstance(content, str) else content)
        new.chmod(0o644)
        new.rename(path)
    for name in gone:
        (tree / name).unlink()


class TestAPackageManagerWritesThroughTheLink:
    @pytest.mark.one_quick
    @pytest.mark.parametrize("letter", ["", "a"])
    def test_what_it_put_there_is_adopted_if_it_is_a_baseline(
        self, place: Place, vendor: Vendor, letter: str
    ) -> None:
        place.enroll()
        if letter:
            vendor.release({"engine": {**FIXED, "added/by": "the improvement"}})
            place.update()
        over(place.graft, NEXT_FILES, gone=("late.py",))
        assert not place.device.status(None).protected
        with pytest.raises(RepointError):
            place.device.check(None)
        vendor.baseline({"engine": NEXT_FILES}, name=NEXT)
        place.device.check(None)
        status = place.device.status(None)
        assert (status.version, status.in_force, status.protected) == ("26.4", "26.4", True)
        assert {str(entry.path) for entry in scan_tree(place.graft.resolve())} >= set(NEXT_FILES)
        assert not (place.graft / "added").exists()
        assert len(list((place.folder / "store/trees").iterdir())) == 1

    @pytest.mark.slow
    def test_a_reinstallation_of_the_same_release_returns_to_its_baseline(
        self, improved: Place
    ) -> None:
        over(improved.graft, OLD)
        improved.device.check(None)
        status = improved.device.status(None)
        assert (status.in_force, status.protected) == ("26.3.1", False)
        assert improved.text() == OLD["main.py"]
        improved.device.install(None, user_initiated=True)
        improved.device.restart(None)
        assert improved.device.status(None).protected

    @pytest.mark.slow
    def test_a_removal_is_reported_and_can_be_left(self, improved: Place) -> None:
        for path in scan_tree(improved.graft.resolve()):
            if path.kind == "file":
                (improved.graft / path.path).unlink()
        assert not improved.device.status(None).protected
        with pytest.raises(StoreDamagedError):
            improved.device.check(None)


def test_a_look_costs_little(tmp_path: Path) -> None:
    import time

    tree = write_tree(tmp_path / "tree", {f"{n % 50}/{n}": "x" for n in range(5_000)})
    entries = scan_tree(tree)
    record = look_at(tree, entries)
    started = time.perf_counter()
    assert touched(tree, entries, record) == []
    assert time.perf_counter() - started < 1


@pytest.mark.one_quick
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES.keys())
def test_a_repair_prepares_again_what_was_changed(
    improved: Place, change: Callable[[Path], object]
) -> None:
    state = improved.product
    active = state.links.active()
    assert active is not None
    change(improved.graft.resolve())
    if examine(state, active.baseline):
        # Where the file system cannot clone, both trees have this file.
        with pytest.raises(StoreDamagedError, match="The baseline of engine was changed"):
            improved.device.repair(None)
        return
    assert improved.device.repair(None) == ["engine"]
    assert improved.device.status(None).protected
    improved.device.check(None)
    assert improved.text("share/readme") == FIXED["share/readme"]
    assert improved.text() == FIXED["main.py"]
    assert stat.S_IMODE(improved.graft.resolve().stat().st_mode) == OPEN
    last = improved.device.history(None)[-1]
    assert (last.event, last.label) == ("repaired", "26.3.1 (a)")
    assert reason_of(improved.device.repair(None)) == "not damaged"


@pytest.mark.slow
def test_a_repair_that_is_cut_off_after_the_exchange_is_completed_by_the_next_command(
    improved: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    (improved.graft.resolve() / "main.py").unlink()

    def cut(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("repoint.device.update.repair.wake_trees", cut)
    with pytest.raises(KeyboardInterrupt):
        improved.device.repair(None)
    monkeypatch.undo()
    improved.device.check(None)
    assert improved.device.status(None).protected
    assert stat.S_IMODE(improved.graft.resolve().stat().st_mode) == OPEN


@pytest.mark.slow
def test_a_tree_that_a_program_uses_is_not_repaired(improved: Place) -> None:
    improved.run(MAPS_A_LIBRARY, launched=False)
    (improved.graft.resolve() / "main.py").unlink()
    with pytest.raises(StillRunningError, match="programs run from it"):
        improved.device.repair(None)
    improved.stop()
    assert improved.device.repair(None) == ["engine"]


def test_a_baseline_that_was_changed_cannot_be_repaired(place: Place) -> None:
    place.enroll()
    (place.graft.resolve() / "main.py").unlink()
    with pytest.raises(StoreDamagedError, match="The baseline of engine was changed") as error:
        place.device.repair(None)
    assert "Reinstall" in error.value.hint


@pytest.mark.slow
def test_the_command_says_what_it_undoes(improved: Place) -> None:
    store = improved.folder / "store"
    assert works("repair", "--store", store) == "Nothing of acme-kiosk was changed.\n"
    (improved.graft.resolve() / "main.py").write_text("changed\n")
    output = works("repair", "--store", store)
    assert "engine at" in output and "Repaired engine." in output
