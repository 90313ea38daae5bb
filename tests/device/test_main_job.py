"""The way of an improvement on a device, on real trees and over real HTTP."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from repoint.device.errors import StillRunningError
from repoint.device.outcomes import require_done
from repoint.device.store.records import UserSettings
from repoint.tree.digest import seal_of
from repoint.tree.scan import scan_tree
from tests.device.conftest import MAPS_A_LIBRARY, Place, wait_for
from tests.places import reason_of
from tests.serving import WebServer
from tests.world import FIXED, OLD, Vendor, big


@pytest.mark.slow
def test_an_improvement_is_staged_then_active_then_removed(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    assert place.text() == "VERSION = 'old'\n"

    checked = place.device.check(None)
    assert checked.offer is not None
    assert checked.offer.label == "26.3.1 (a)"
    place.device.install(None, user_initiated=True)
    assert place.text() == "VERSION = 'old'\n"
    assert place.device.status(None).staged == "26.3.1 (a)"

    place.device.restart(None)
    assert place.text() == "VERSION = 'new'\n"
    status = place.device.status(None)
    assert (status.in_force, status.staged, status.protected) == ("26.3.1 (a)", "", True)

    place.device.remove(None, why="it broke printing")
    assert place.text() == "VERSION = 'old'\n"
    status = place.device.status(None)
    assert status.in_force == "26.3.1"
    assert not status.protected
    assert [cve.state for cve in status.cves] == ["not fixed"]
    assert [e.event for e in place.device.history(None)] == [
        "enrolled", "staged", "activated", "confirmed", "removed", "activated",
    ]  # fmt: skip
    assert place.device.history(None)[4].why == "it broke printing"


@pytest.mark.slow
def test_a_cve_is_waiting_between_staging_and_restart(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    states = [place.device.status(None).cves[0].state]
    place.device.install(None, user_initiated=True)
    states.append(place.device.status(None).cves[0].state)
    place.device.restart(None)
    states.append(place.device.status(None).cves[0].state)
    assert states == ["not fixed", "waiting for restart", "in force"]


@pytest.mark.slow
def test_unchanged_files_are_shared_and_sealed_trees_are_read_only(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    old = (place.graft / "lib/helper.so").stat()
    vendor.release()
    place.update()
    new = (place.graft / "lib/helper.so").stat()
    assert new.st_ino == old.st_ino or new.st_nlink == 1
    assert not (place.graft / "main.py").stat().st_mode & 0o222
    assert not place.graft.resolve().stat().st_mode & 0o222


@pytest.mark.slow
def test_later_letters_are_cumulative_and_made_against_the_baseline(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    place.update()
    again = {**FIXED, "main.py": "VERSION = 'newer'\n", "lib/added.so": big(9, 2000)}
    vendor.release({"engine": again}, "CVE-2023-0002")
    place.update()
    assert place.text() == "VERSION = 'newer'\n"
    status = place.device.status(None)
    assert status.in_force == "26.3.1 (b)"
    assert {(c.cve, c.improvement, c.state) for c in status.cves} == {
        ("CVE-2023-0001", "26.3.1 (a)", "in force"),
        ("CVE-2023-0002", "26.3.1 (b)", "in force"),
    }


@pytest.mark.slow
def test_a_device_that_missed_a_letter_goes_straight_to_the_last(
    place: Place, vendor: Vendor, server: WebServer
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    vendor.release({"engine": {**FIXED, "main.py": "third\n"}}, "CVE-2023-0002")
    server.requests.clear()
    place.update()
    assert place.text() == "third\n"
    patches = [r.path for r in server.requests if r.path.endswith(".patch")]
    assert len(patches) == 1
    assert "/b/" in patches[0]


@pytest.mark.slow
def test_a_renamed_library_is_patched_from_its_predecessor(place: Place, vendor: Vendor) -> None:
    place.enroll()
    files = {k: v for k, v in OLD.items() if k != "lib/engine.so"}
    files["lib/engine-850e2bec.so"] = big(1)[:20_000] + b"x" + big(1)[20_001:]
    built = vendor.improve({"engine": files})
    assert built.layers["engine"].renamed == {"lib/engine-850e2bec.so": "lib/engine.so"}
    assert built.draft.improvement.download_size < 2_000
    vendor.publish()
    place.update()
    assert (place.graft / "lib/engine-850e2bec.so").read_bytes() == files["lib/engine-850e2bec.so"]
    assert not (place.graft / "lib/engine.so").exists()


@pytest.mark.slow
def test_modes_links_and_folders_are_part_of_a_layer(
    place: Place, vendor: Vendor, tmp_path: Path
) -> None:
    place.enroll()
    source = vendor.source({**OLD, "new/deep/file": "x"})
    (source / "share/readme").chmod(0o755)
    (source / "current").symlink_to("lib/engine.so")
    (source / "empty").mkdir()
    from tests.world import advisory

    vendor.improve_from({"engine": source}, advisory())
    vendor.publish()
    place.update()
    assert seal_of(scan_tree(place.graft.resolve())) == seal_of(scan_tree(source))
    assert os.access(place.graft / "share/readme", os.X_OK)


@pytest.mark.slow
def test_a_program_without_the_launcher_holds_activation_up_and_is_named(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    with pytest.raises(StillRunningError, match=rf"\({pid}\)"):
        place.device.activate(None)
    assert place.text() == "VERSION = 'old'\n"
    exposed = place.device.status(None).exposed
    assert [(e.pid, e.component, e.files) for e in exposed] == [(pid, "engine", ("lib/engine.so",))]
    place.stop()
    place.device.activate(None)
    assert place.text() == "VERSION = 'new'\n"


@pytest.mark.slow
def test_a_launched_program_does_not_hold_activation_up_but_is_exposed_until_it_ends(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    pid = place.run(MAPS_A_LIBRARY, launched=True)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.activate(None)
    assert place.text() == "VERSION = 'new'\n"
    status = place.device.status(None)
    assert [e.pid for e in status.exposed] == [pid]
    assert [c.state for c in status.cves] == ["waiting for restart"]
    assert not status.protected
    place.stop()
    assert place.device.status(None).protected


LAZY = """
import sys
import main
print('ready', flush=True)
sys.stdin.readline()
import late
print(main.VERSION, late.VERSION, flush=True)
"""


@pytest.mark.slow
def test_a_program_that_imports_late_never_mixes_two_trees(place: Place, vendor: Vendor) -> None:
    import subprocess
    import sys

    place.enroll()
    vendor.release()
    command = [sys.executable, "-m", "repoint", "launch", sys.executable, "-c", LAZY]
    own = os.pathsep.join(p for p in sys.path if p)
    environment = {
        **os.environ,
        "REPOINT_STORE": str(place.folder / "store"),
        "PYTHONPATH": f"{place.graft}{os.pathsep}{own}",
    }
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as program:
        assert program.stdout is not None
        assert program.stdin is not None
        assert program.stdout.readline() == "ready\n"
        place.device.check(None)
        place.device.install(None, user_initiated=True)
        place.device.activate(None)
        assert place.text("late.py") == "VERSION = 'new'\n"
        program.stdin.write("\n")
        program.stdin.flush()
        assert program.stdout.readline() == "old old\n"


@pytest.mark.slow
def test_a_program_from_before_the_enrolment_is_seen_and_named(
    place: Place, vendor: Vendor
) -> None:
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert [(e.pid, e.runs) for e in place.device.status(None).exposed] == [(pid, "26.3.1")]
    with pytest.raises(StillRunningError, match=rf"\({pid}\)"):
        place.device.activate(None)


def test_installing_twice_downloads_once_and_says_what_to_do(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert reason_of(place.device.install(None, user_initiated=True)) == "already staged"


def test_the_next_start_through_the_launcher_activates_what_is_staged(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    launch = place.device.launch(["/bin/cat", str(place.graft / "main.py")], {})
    for descriptor in launch.held:
        os.close(descriptor)
    assert place.text() == "VERSION = 'new'\n"
    assert Path(launch.arguments[1]).read_text() == "VERSION = 'new'\n"
    assert "/trees/" in launch.arguments[1]


@pytest.mark.slow
def test_bytecode_that_programs_write_neither_breaks_a_seal_nor_reaches_the_next_tree(
    place: Place, vendor: Vendor
) -> None:
    place.put({**OLD, "__pycache__/main.cpython-311.pyc": "stale"})
    place.enroll()
    assert not (place.graft / "__pycache__").exists()
    tree = place.graft.resolve()
    tree.chmod(0o755)
    (tree / "__pycache__").mkdir()
    (tree / "__pycache__/main.cpython-311.pyc").write_bytes(b"stale")
    tree.chmod(0o555)
    vendor.release()
    place.update()
    assert not (place.graft / "__pycache__").exists()
    place.device.remove(None, why="")
    assert place.text() == "VERSION = 'old'\n"


def test_files_from_a_patch_have_another_time_so_that_no_cache_takes_them_for_the_old(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    before = (place.graft / "main.py").stat()
    vendor.release()
    place.update()
    after = (place.graft / "main.py").stat()
    assert before.st_size == after.st_size
    assert int(before.st_mtime) != int(after.st_mtime)


@pytest.mark.slow
def test_old_trees_are_kept_while_a_program_uses_them_and_collected_after(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    place.update()
    middle = place.graft.resolve()
    place.run(MAPS_A_LIBRARY, launched=True)
    vendor.release({"engine": {**FIXED, "main.py": "third\n"}}, "CVE-2023-0002")
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.activate(None)
    vendor.release({"engine": {**FIXED, "main.py": "fourth\n"}}, "CVE-2023-0003")
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.activate(None)
    assert middle.is_dir()
    assert {e.runs for e in place.device.status(None).exposed} == {"26.3.1 (a)"}
    place.stop()
    place.device.check(None)
    assert not middle.exists()


@pytest.mark.slow
def test_a_removed_letter_is_not_installed_automatically_but_the_next_one_is(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, "CVE-2023-0001")
    place.update()
    place.device.remove(None, why="it broke printing")
    place.device.check(None)
    assert reason_of(place.device.install(None, user_initiated=False)) == "removed here"
    available = place.device.status(None).available
    assert available is not None
    assert available.held_back == "removed here: it broke printing"
    vendor.release({"engine": {**FIXED, "main.py": "third\n"}}, "CVE-2023-0002")
    place.device.check(None)
    place.device.install(None, user_initiated=False)
    place.device.restart(None)
    assert place.text() == "third\n"


@pytest.mark.slow
def test_a_person_who_asks_gets_a_removed_letter_back(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.update()
    place.device.remove(None, why="")
    place.update()
    assert place.text() == "VERSION = 'new'\n"


@pytest.mark.slow
def test_a_staged_improvement_can_be_removed_before_it_was_ever_active(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    place.device.remove(None, why="")
    assert place.device.status(None).staged == ""
    assert place.text() == "VERSION = 'old'\n"
    assert reason_of(place.device.remove(None, why="")) == "not installed"


@pytest.mark.slow
def test_removal_waits_for_programs_that_were_not_launched(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release()
    place.update()
    place.run(MAPS_A_LIBRARY, launched=False)
    done = require_done(place.device.remove(None, why="")).is_complete
    assert not done
    assert place.text() == "VERSION = 'new'\n"
    place.stop()
    place.device.restart(None)
    assert place.text() == "VERSION = 'old'\n"


@pytest.mark.slow
def test_a_withdrawn_improvement_is_not_installed_and_is_unstaged(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    vendor.withdraw("a")
    checked = place.device.check(None)
    assert checked.offer is None
    assert place.device.status(None).staged == ""
    assert place.device.history(None)[-1].why == "the vendor has withdrawn it: it crashes"
    assert reason_of(place.device.install(None, user_initiated=True)) == "up to date"


@pytest.mark.slow
def test_a_withdrawn_improvement_that_is_in_force_stays_and_says_so(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release()
    place.update()
    vendor.withdraw("a", "it crashes")
    place.device.check(None)
    status = place.device.status(None)
    assert (status.in_force, status.withdrawn) == ("26.3.1 (a)", "it crashes")
    vendor.release({"engine": {**FIXED, "main.py": "third\n"}}, "CVE-2023-4863")
    place.update()
    assert place.device.status(None).in_force == "26.3.1 (b)"


@pytest.mark.slow
def test_restart_closes_the_program_and_starts_it_again(place: Place, vendor: Vendor) -> None:
    import sys

    from repoint.device.activate.restart import Restarted
    from repoint.device.update.enrolment.enroll import GraftRequest
    from repoint.device.update.enrolment.recognize import BaselineFilter

    note = place.folder / "started"
    program = (sys.executable, "-c", f"open({str(note)!r}, 'w').write('again')")
    place.device.enroll(
        vendor.product, place.server.url, vendor.root,
        {"engine": GraftRequest(place.graft, program)}, BaselineFilter(platform="linux-x86_64"),
    )  # fmt: skip
    vendor.release()
    pid = place.run(MAPS_A_LIBRARY, launched=False)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    done = place.device.restart(None)
    assert isinstance(done, Restarted)
    assert [use.pid for use in done.closed] == [pid]
    assert place.text() == "VERSION = 'new'\n"
    wait_for(note.exists)


@pytest.mark.slow
def test_an_improvement_that_needs_no_restart_is_active_at_once(
    place: Place, vendor: Vendor
) -> None:
    from repoint.model.baseline import BaselineName

    other = BaselineName("linux-x86_64", "26.4", "26A1")
    vendor.baseline(name=other, restart="none")
    place.enroll(version="26.4")
    vendor.release(name=other)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    assert place.text() == "VERSION = 'new'\n"


def test_settings_are_kept(place: Place) -> None:
    place.enroll()
    assert place.device.preferences.settings(None).automatic
    place.device.preferences.change_settings(None, UserSettings(automatic=False))
    assert not place.device.status(None).settings.automatic
