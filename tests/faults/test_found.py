"""One test for each fault that the harness has found, at the call where it was found.

`make faults` tries every call of every operation; these are the calls that once failed.
"""

from __future__ import annotations

import errno
import platform
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from repoint.publisher.improve import drafts
from tests.faults.judging import CRASHES, FAILING, LASTING, SHORT, Judge, Trouble
from tests.faults.running import scenes
from tests.faults.serving import served
from tests.world import Vendor

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64", reason="the harness knows the calls of x86-64"
)

TROUBLES = {trouble.name: trouble for trouble in (*CRASHES, *SHORT, *FAILING, *LASTING)}
Judged = Callable[[str], Judge]


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judged]:
    base = tmp_path_factory.mktemp("faults")
    made: dict[str, Judge] = {}

    def judge(name: str) -> Judge:
        if name not in made:
            made[name] = Judge(scenes(base, url)[name]())
        return made[name]

    with served(base) as url:
        yield judge


def wrong_at(judge: Judge, trouble: str, call: str, *, which: int = -1) -> list[str]:
    """Inject a fault at the last call of an operation that matches."""
    pattern = re.compile(call)
    calls = judge.undisturbed.calls
    numbers = [c.number for c in calls if TROUBLES[trouble].fits(c) and pattern.search(str(c))]
    assert numbers, [str(c) for c in calls]
    return [found.wrong for found in judge.disturb(TROUBLES[trouble], numbers[which])]


def wrong_after_power_cut(judge: Judge, call: str | None = None) -> list[str]:
    """Cut the power after the last call that matches, or after the end."""
    recording = judge.record()
    calls = recording.trace.calls
    cut = len(calls)
    if call is not None:
        cut = [c.number for c in calls if re.search(call, str(c))][-1]
    states = {state.digest: state for state in recording.states(cut, 6, "found")}
    return [found.wrong for state in states.values() for found in judge.cut_power(state, cut)]


class TestAnEnrolment:
    def test_that_is_not_finished_keeps_the_trees_that_it_will_need(self, judged: Judged) -> None:
        last = r"^fsync store/products/acme-kiosk$"
        assert wrong_at(judged("enrol"), "EIO", last, which=-2) == []

    def test_that_fails_after_its_commit_does_not_say_that_nothing_was_changed(
        self, judged: Judged
    ) -> None:
        assert wrong_at(judged("enrol"), "ENOSPC", r"^renameat2 app/engine") == []

    def test_on_a_disk_that_became_read_only_ends_with_an_error_for_people(
        self, judged: Judged
    ) -> None:
        found = wrong_at(judged("enrol"), "EROFS from there on", r"metadata/tmp", which=0)
        assert found == []

    @pytest.mark.slow
    def test_lasts_through_a_power_cut_with_the_folders_above_it(self, judged: Judged) -> None:
        assert wrong_after_power_cut(judged("enrol")) == []


class TestAnInstallation:
    @pytest.mark.slow
    def test_leaves_no_downloads_behind_when_they_cannot_be_removed(self, judged: Judged) -> None:
        assert wrong_at(judged("install"), "EIO", r"^rmdir .*downloads$") == []

    def test_that_was_cut_off_before_its_line_in_the_history_is_written_down(
        self, judged: Judged
    ) -> None:
        assert wrong_at(judged("install"), "killed before", r"^openat .*history.jsonl") == []

    def test_brings_the_permissions_of_a_tree_to_the_disk(self, judged: Judged) -> None:
        assert wrong_after_power_cut(judged("install")) == []


class TestAnActivation:
    @pytest.mark.slow
    def test_that_was_cut_off_before_its_line_in_the_history_is_written_down(
        self, judged: Judged
    ) -> None:
        found = wrong_at(judged("activate"), "killed before", r"^openat .*history.jsonl", which=0)
        assert found == []

    def test_whose_confirmation_finds_the_disk_full_does_not_say_that_nothing_was_changed(
        self, judged: Judged
    ) -> None:
        assert wrong_at(judged("activate"), "ENOSPC", r"^openat .*\.new-confirmed") == []

    @pytest.mark.slow
    def test_that_is_taken_back_is_in_the_history_even_if_the_disk_fails_then(
        self, judged: Judged
    ) -> None:
        assert wrong_at(judged("roll back"), "EIO", r"^write .*history.jsonl") == []

    def test_needs_no_room_to_say_who_is_at_work(self, judged: Judged) -> None:
        assert wrong_at(judged("activate"), "ENOSPC", r"^pwrite64 store/lock") == []


class TestARemoval:
    @pytest.mark.slow
    def test_that_was_cut_off_before_its_lines_in_the_history_is_written_down(
        self, judged: Judged
    ) -> None:
        found = wrong_at(judged("remove"), "killed before", r"^openat .*history.jsonl", which=0)
        assert found == []

    @pytest.mark.slow
    def test_is_done_although_the_disk_fails_while_tidying_up(self, judged: Judged) -> None:
        assert wrong_at(judged("remove"), "EIO", r"^unlinkat .*generations/") == []


class TestAFullUpdate:
    @pytest.mark.slow
    def test_that_was_cut_off_leaves_nothing_of_the_older_release(self, judged: Judged) -> None:
        for call in (r"^unlink .*previous$", r"^rename .*active$", r"^renameat2 app/engine"):
            assert wrong_at(judged("supersede"), "killed before", call) == []

    def test_that_a_full_disk_stops_keeps_the_trees_that_it_will_need(self, judged: Judged) -> None:
        assert (
            wrong_at(judged("supersede"), "ENOSPC", r"^rename .*products/acme-kiosk/active$") == []
        )

    def test_whose_line_in_the_history_is_written_in_parts_is_written_once(
        self, judged: Judged
    ) -> None:
        found = wrong_at(judged("supersede"), "short write", r"^write .*history.jsonl", which=0)
        assert found == []


class TestTakingAProductOut:
    def test_that_was_cut_off_is_finished_by_the_next_command(self, judged: Judged) -> None:
        assert wrong_at(judged("unenrol"), "killed before", r"^unlinkat .*offers/") == []

    def test_leaves_folders_that_one_may_write_to_after_a_power_cut(self, judged: Judged) -> None:
        assert wrong_after_power_cut(judged("unenrol")) == []


class TestSettings:
    @pytest.mark.slow
    def test_that_cannot_be_written_end_with_an_error_for_people(self, judged: Judged) -> None:
        assert wrong_at(judged("collect garbage"), "EIO", r"^openat .*\.new-settings.json") == []


class TestAPublication:
    @pytest.mark.slow
    def test_that_was_cut_off_leaves_nothing_of_its_draft(self, judged: Judged) -> None:
        assert wrong_at(judged("publish"), "killed before", r"^unlinkat drafts/") == []

    def test_is_done_although_its_draft_cannot_be_removed(
        self, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(_: Path) -> None:
            raise OSError(errno.EIO, "Input/output error")

        vendor.improve()
        with monkeypatch.context() as disk:
            disk.setattr(drafts, "remove_tree", refuse)
            assert [improvement.letter for improvement in vendor.publish()] == ["a"]
        left = vendor.repository.path / "drafts" / vendor.product
        assert [*left.rglob("improvement.json")]
        vendor.release()
        assert not [*left.rglob("improvement.json")]


class TestARegistration:
    def test_that_was_cut_off_leaves_nothing_beside_the_baseline(self, judged: Judged) -> None:
        assert wrong_at(judged("register"), "killed before", r"^syncfs .*/\.new-.*/trees$") == []

    @pytest.mark.slow
    def test_lasts_through_a_power_cut_with_the_vendors_trees(self, judged: Judged) -> None:
        assert wrong_after_power_cut(judged("register")) == []


def test_what_cannot_come_to_a_call_is_not_tried(judged: Judged) -> None:
    judge = judged("activate")
    kinds = {c.number: c.what.name for c in judge.undisturbed.calls}
    assert {kinds[n] for n in judge.points(Trouble("short write", "half"))} <= {"write", "pwrite64"}
    assert "fsync" not in {kinds[n] for n in judge.points(TROUBLES["ENOSPC"])}


def test_a_violation_is_seen(judged: Judged, tmp_path: Path) -> None:
    """The harness itself must be able to fail."""
    judge = judged("activate")
    judge.ground.restore()
    judge.scene.act()
    (judge.scene.folder / "store/trees/left").mkdir()
    store = judge.scene.folder / "store/products/acme-kiosk"
    (store / "history.jsonl").write_bytes(b"")
    (store / ".new-left").write_bytes(b"")
    seen = [*judge.aftermath()]
    assert any("history.jsonl" in wrong for wrong in seen)
    judge.ground.restore()
    (judge.scene.folder / "app/engine").resolve().joinpath("main.py").unlink()
    assert any("neither old nor new" in wrong for wrong in judge.scene.wrong())


class TestReports:
    @pytest.mark.slow
    def test_that_could_not_be_synced_do_not_say_that_nothing_was_changed(
        self, judged: Judged
    ) -> None:
        last = r"^fsync store/products/acme-kiosk/reports$"
        assert wrong_at(judged("note reports"), "EIO", last) == []
        assert wrong_at(judged("drop reports"), "EIO", last) == []
