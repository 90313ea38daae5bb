"""Nothing of the person's is lost, and the status never says more than is true."""

from __future__ import annotations

import os

import pytest

from repoint.agent.overview.headline import headline
from repoint.agent.overview.overview import read_overview
from repoint.device.errors import StoreDamagedError
from repoint.device.outcomes import require_done
from repoint.model.baseline import BaselineName
from repoint.model.errors import RepointError
from tests.places import MAPS_A_LIBRARY, Place
from tests.serving import WebServer
from tests.world import OLD, PLATFORM, Vendor, write_tree


def test_what_programs_wrote_beside_the_code_is_kept_at_enrolment(
    place: Place, vendor: Vendor
) -> None:
    vendor.baseline(name=BaselineName(PLATFORM, "26.4", "26A1"), ignore=("*.log", "state"))
    place.put({**OLD, "today.log": "precious", "state/deep/x": "1", "__pycache__/a.pyc": "x"})
    place.enroll(version="26.4")
    kept = place.graft.with_name("engine.before-repoint")
    found = sorted(str(p.relative_to(kept)) for p in kept.rglob("*") if p.is_file())
    assert found == ["state/deep/x", "today.log"]
    assert str(kept) in place.device.history(None)[-1].why


def test_nothing_is_kept_beside_where_nothing_else_stood(place: Place) -> None:
    place.enroll()
    assert os.listdir(place.graft.parent) == ["engine"]


@pytest.mark.slow
def test_a_withdrawn_fix_that_was_removed_leaves_its_cve_unfixed(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    place.update()
    vendor.withdraw("a")
    place.device.remove(None, why="")
    place.device.check(None)
    status = place.device.status(None)
    assert [(c.cve, c.state) for c in status.cves] == [("CVE-2023-0001", "not fixed")]
    assert not status.protected


def test_a_device_that_never_had_a_withdrawn_fix_knows_of_its_cve(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    vendor.withdraw("a")
    place.device.check(None)
    assert not place.device.status(None).protected


@pytest.mark.slow
def test_a_device_is_not_protected_if_its_graft_point_was_replaced(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.update()
    place.put(OLD)
    status = place.device.status(None)
    assert not status.protected
    assert [g.in_place for g in status.grafts] == [False]
    launch = place.device.launch(["/bin/cat", str(place.graft / "main.py")], {})
    assert launch.arguments[1] == str(place.graft / "main.py")


def test_a_move_to_a_full_update_that_fails_is_written_down(
    place: Place, vendor: Vendor, server: WebServer
) -> None:
    place.enroll()
    place.device.check(None)
    place.put({**OLD, "main.py": "nobody knows this\n"})
    with pytest.raises(RepointError):
        place.device.check(None)
    last = place.device.status(None).last_check
    assert last is not None
    assert "1 path differs" in last.error


@pytest.mark.slow
def test_a_damaged_baseline_is_neither_returned_to_nor_handed_back(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    baseline = place.graft.resolve()
    vendor.release()
    place.update()
    (baseline / "main.py").chmod(0o644)
    (baseline / "main.py").write_text("changed by somebody\n")
    with pytest.raises(StoreDamagedError, match="Reinstall"):
        place.device.remove(None, why="")
    assert place.text() == "VERSION = 'new'\n"


def test_unenrolling_gives_back_plain_folders(place: Place) -> None:
    place.enroll()
    assert place.device.unenroll(None).notes == ()
    assert place.graft.is_dir()
    assert not place.graft.is_symlink()
    (place.graft / "main.py").write_text("the person's own again")


@pytest.mark.slow
def test_a_pending_removal_is_recorded_once(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.update()
    place.run(MAPS_A_LIBRARY, launched=False)
    place.device.remove(None, why="it broke printing")
    assert not require_done(place.device.remove(None, why="again")).is_complete
    assert [e.why for e in place.device.history(None) if e.event == "removed"] == [
        "it broke printing"
    ]


def test_relative_paths_work_for_plain_patches(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pathlib import Path

    from repoint.publisher.plain_patches import apply_path, diff_paths

    folder = tmp_path_factory.mktemp("plain")
    monkeypatch.chdir(folder)
    write_tree(folder / "old", OLD)
    write_tree(folder / "new", {**OLD, "main.py": "VERSION = 'newer'\n"})
    diff_paths(Path("old"), Path("new"), Path("patch"))
    apply_path(Path("old"), Path("patch"), Path("made"))
    assert (folder / "made/main.py").read_text() == "VERSION = 'newer'\n"


@pytest.mark.slow
def test_a_device_is_not_protected_until_a_check_has_succeeded(
    place: Place, vendor: Vendor, server: WebServer
) -> None:
    place.enroll()
    (place.product.path / "catalog.json").unlink(missing_ok=True)
    vendor.release()
    assert not place.device.status(None).protected
    server.alter = lambda path, data: b"damaged"
    with pytest.raises(RepointError):
        place.device.check(None)
    overview = read_overview(place.device, None)
    assert (overview.verdict, overview.status.protected) == ("unchecked", False)
    server.alter = lambda path, data: data
    place.device.check(None)
    assert read_overview(place.device, None).verdict == "open"


def test_an_offer_whose_record_cannot_be_had_is_neither_shown_nor_ignored(
    place: Place, vendor: Vendor, server: WebServer
) -> None:
    place.enroll()
    place.device.check(None)
    assert read_overview(place.device, None).verdict == "protected"
    vendor.release()
    server.alter = lambda path, data: b"damaged" if "improvements/" in path else data
    with pytest.raises(RepointError):
        place.device.check(None)
    overview = read_overview(place.device, None)
    assert overview.status.available is None
    assert (overview.verdict, overview.status.protected) == ("unchecked", False)
    assert headline(overview).startswith("Unknown: what the vendor offers could not be read")
    server.alter = lambda path, data: data
    place.device.check(None)
    assert read_overview(place.device, None).verdict == "open"
