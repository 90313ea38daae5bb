"""A product's components come and go with its releases, and no device is stuck because of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from repoint.device.errors import EnrolmentRefusedError
from repoint.device.update.enrolment import supersede
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.fs.removal import remove_tree
from repoint.model.baseline import BaselineName
from tests.cli.command import everything, refusal, repoint, works
from tests.places import Place
from tests.world import NAME, OLD, PLATFORM, Files, Vendor, write_tree

NEXT = BaselineName(PLATFORM, "26.4", "26A10")
ENGINE: Files = {**OLD, "main.py": "VERSION = '26.4'\n"}
CODEC: Files = {"codec.so": "codec of 26.4"}
SHELL: Files = {"sh": "shell of 26.3.1"}


def folder(place: Place, component: str) -> Path:
    return place.folder / "app" / component


def replace(place: Place, component: str, files: Files) -> Path:
    path = folder(place, component)
    if path.is_symlink():
        path.unlink()
    return write_tree(path, files)


@pytest.fixture
def engine_only(improved: Place) -> Place:
    """A device with an improvement of a release that has one component."""
    return improved


@pytest.fixture
def with_shell(place: Place, vendor: Vendor) -> Place:
    """A device with a release that has two components."""
    name = BaselineName(PLATFORM, "26.3.2", "26A1")
    vendor.baseline({"engine": OLD, "shell": SHELL}, name=name)
    replace(place, "shell", SHELL)
    grafts = {name: GraftRequest(folder(place, name)) for name in ("engine", "shell")}
    place.device.enroll(
        vendor.product, place.server.url, vendor.root, grafts, BaselineFilter(platform=PLATFORM)
    )
    return place


def at(place: Place) -> str:
    return str(place.product.documents.enrolment().baseline)


def grafts(place: Place) -> list[str]:
    return [point.component for point in place.product.documents.enrolment().grafts]


class TestAComponentComes:
    @pytest.mark.slow
    def test_a_release_with_other_components_disturbs_nobody_who_does_not_have_it(
        self, engine_only: Place, vendor: Vendor
    ) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        assert engine_only.device.check(None).note == ""
        assert engine_only.device.status(None).protected

    @pytest.mark.slow
    def test_a_device_that_has_it_shows_what_to_do_and_does_it(
        self, engine_only: Place, vendor: Vendor
    ) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        replace(engine_only, "engine", ENGINE)
        replace(engine_only, "codec", CODEC)
        note = engine_only.device.check(None).note
        assert "26.4 (26A10) for linux-x86_64 needs a graft point for codec" in note
        assert "`repoint graft add codec=FOLDER`" in note
        status = engine_only.device.status(None)
        assert not status.protected
        assert status.last_check is not None
        assert (status.last_check.note, status.last_check.error) == (note, "")
        engine_only.device.add_grafts(None, {"codec": folder(engine_only, "codec")})
        assert (at(engine_only), grafts(engine_only)) == (str(NEXT), ["engine", "codec"])
        assert folder(engine_only, "codec").is_symlink()
        assert engine_only.graft.is_symlink()
        vendor.release({"codec": {"codec.so": "fixed"}}, name=NEXT)
        engine_only.update()
        assert (folder(engine_only, "codec") / "codec.so").read_text() == "fixed"
        assert engine_only.device.status(None).protected

    @pytest.mark.slow
    def test_after_it_has_come_the_status_is_that_of_the_new_release(
        self, engine_only: Place, vendor: Vendor
    ) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        vendor.release({"codec": {"codec.so": "fixed"}}, name=NEXT)
        replace(engine_only, "engine", ENGINE)
        replace(engine_only, "codec", CODEC)
        engine_only.device.check(None)
        engine_only.device.add_grafts(None, {"codec": folder(engine_only, "codec")})
        status = engine_only.device.status(None)
        assert status.last_check is not None
        assert (status.last_check.note, status.last_check.error) == ("", "")
        assert [cve.state for cve in status.cves] == ["not fixed"]

    @pytest.mark.one_quick
    @pytest.mark.parametrize(
        ("component", "path", "message"),
        [
            ("motor", "app/codec", "has other"),
            ("engine", "app/codec", "has a graft point already"),
            ("codec", "app/nothing", "There is nothing at"),
            ("codec", "app", "overlap"),
            ("codec", "app/wrong", "are not those of"),
        ],
    )
    def test_what_does_not_fit_is_refused_and_changes_nothing(
        self, engine_only: Place, vendor: Vendor, component: str, path: str, message: str
    ) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        replace(engine_only, "engine", ENGINE)
        replace(engine_only, "codec", CODEC)
        replace(engine_only, "wrong", {"codec.so": "of nobody"})
        before = everything(engine_only.folder, "metadata", "trees", "verified")
        with pytest.raises(EnrolmentRefusedError, match="." if message == "has other" else message):
            engine_only.device.add_grafts(None, {component: engine_only.folder / path})
        assert everything(engine_only.folder, "metadata", "trees", "verified") == before

    def test_an_enrolment_names_the_component_that_is_missing(
        self, place: Place, vendor: Vendor
    ) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        replace(place, "engine", ENGINE)
        with pytest.raises(EnrolmentRefusedError, match="needs a graft point for codec"):
            place.enroll()


class TestAComponentGoes:
    @pytest.mark.one_quick
    @pytest.mark.parametrize("removed", [False, True])
    def test_with_a_full_update(self, with_shell: Place, vendor: Vendor, removed: bool) -> None:
        vendor.baseline({"engine": ENGINE}, name=NEXT)
        replace(with_shell, "engine", ENGINE)
        if removed:
            folder(with_shell, "shell").unlink()
        with_shell.device.check(None)
        assert (at(with_shell), grafts(with_shell)) == (str(NEXT), ["engine"])
        shell = folder(with_shell, "shell")
        assert not shell.is_symlink()
        assert (shell / "sh").read_text() == "shell of 26.3.1"
        assert len(list((with_shell.folder / "store/trees").iterdir())) == 1
        assert with_shell.device.status(None).protected

    @pytest.mark.slow
    def test_while_another_one_comes(self, with_shell: Place, vendor: Vendor) -> None:
        vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
        replace(with_shell, "engine", ENGINE)
        replace(with_shell, "codec", CODEC)
        remove_tree(folder(with_shell, "shell"))
        note = with_shell.device.check(None).note
        assert "has no component shell and needs a graft point for codec. Run" in note
        assert "graft add codec=FOLDER" in note
        with_shell.device.add_grafts(None, {"codec": folder(with_shell, "codec")})
        assert (at(with_shell), grafts(with_shell)) == (str(NEXT), ["engine", "codec"])

    def test_a_release_with_all_components_is_preferred(
        self, with_shell: Place, vendor: Vendor
    ) -> None:
        vendor.baseline({"engine": ENGINE}, name=BaselineName(PLATFORM, "26.5", "26A11"))
        vendor.baseline({"engine": ENGINE, "shell": SHELL}, name=NEXT)
        replace(with_shell, "engine", ENGINE)
        with_shell.device.check(None)
        assert (at(with_shell), grafts(with_shell)) == (str(NEXT), ["engine", "shell"])

    def test_by_hand(self, with_shell: Place) -> None:
        with_shell.device.remove_graft(None, "shell")
        assert (at(with_shell), grafts(with_shell)) == (str(NAME), ["engine"])
        assert not folder(with_shell, "shell").is_symlink()
        assert with_shell.text() == OLD["main.py"]

    @pytest.mark.parametrize(
        ("component", "message"),
        [("motor", "has no graft point"), ("engine", "has the component engine|not those of")],
    )
    def test_what_no_release_lacks_cannot_be_removed(
        self, with_shell: Place, component: str, message: str
    ) -> None:
        before = everything(with_shell.folder, "metadata", "verified")
        with pytest.raises(EnrolmentRefusedError) as error:
            with_shell.device.remove_graft(None, component)
        assert any(word in str(error.value) for word in message.split("|"))
        assert everything(with_shell.folder, "metadata", "verified") == before


@pytest.mark.one_quick
@pytest.mark.parametrize("where", ["take_trees", "adopt"])
def test_an_interrupted_change_is_finished_by_the_next_check(
    with_shell: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    vendor.baseline({"engine": ENGINE}, name=NEXT)
    replace(with_shell, "engine", ENGINE)

    def fail(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(supersede, where, fail)
        with_shell.device.check(None)
    assert (folder(with_shell, "shell") / "sh").read_text() == "shell of 26.3.1"
    assert with_shell.text() == ENGINE["main.py"]
    with_shell.device.check(None)
    assert (at(with_shell), grafts(with_shell)) == (str(NEXT), ["engine"])


@pytest.mark.slow
def test_two_components_of_which_one_was_replaced_while_the_other_has_a_fix(
    with_shell: Place, vendor: Vendor
) -> None:
    name = BaselineName(PLATFORM, "26.3.2", "26A1")
    vendor.release({"shell": {"sh": "fixed"}}, name=name)
    with_shell.update()
    vendor.baseline({"engine": ENGINE, "shell": SHELL}, name=NEXT)
    replace(with_shell, "engine", ENGINE)
    with_shell.device.check(None)
    assert at(with_shell) == str(NEXT)
    assert (folder(with_shell, "shell") / "sh").read_text() == SHELL["sh"]


@pytest.mark.slow
def test_the_commands(engine_only: Place, vendor: Vendor) -> None:
    store = engine_only.folder / "store"
    vendor.baseline({"engine": ENGINE, "codec": CODEC}, name=NEXT)
    replace(engine_only, "engine", ENGINE)
    codec = replace(engine_only, "codec", CODEC)
    assert "graft add codec=FOLDER" in works("check", "--store", store)
    assert "graft add codec=FOLDER" in works("status", "--store", store)
    assert f"codec at {codec}" in works("graft", "add", f"codec={codec}", "--store", store)
    answer = repoint("graft", "remove", "codec", "--store", store)
    refusal(answer, "The release of acme-kiosk that is installed has the component codec")
