"""The world is told whole, at once, and never at the cost of a publication."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from pathlib import Path

import pytest

from repoint.model.baseline import BaselineName
from repoint.model.catalog import Catalog
from repoint.model.encoding import decode_record
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.feeds import place
from repoint.publisher.feeds.announce import FOLDER, announced
from repoint.repository import names
from repoint.repository.repository import Repository
from tests.cli.command import works
from tests.publisher.feeds.support import ADDRESS, Told, serve_at
from tests.repository.test_repository_killed import in_a_process_of_its_own, trouble_at
from tests.world import Vendor, no_passphrase

TIMED = {"versions.json"}
"""Says when its signature expires."""


def states(vendor: Vendor) -> list[str]:
    path = names.catalog_path(vendor.product)
    catalog = decode_record(vendor.repository.read_target(path), Catalog, path)
    return [offer.state for offer in catalog.offers]


def index(vendor: Vendor) -> str:
    return (vendor.public / FOLDER / "index.html").read_text()


def lasting(told: Told) -> dict[str, bytes]:
    return {path: data for path, data in told.files().items() if path not in TIMED}


@pytest.fixture
def world(vendor: Vendor) -> Vendor:
    serve_at(vendor, ADDRESS)
    vendor.release(None, "CVE-2026-1000")
    return vendor


def test_whatever_changes_what_is_published_is_told(world: Vendor) -> None:
    label = Selection(world.product, "26.3.1 (a)")
    rollouts = world.publisher.rollouts
    for change, badge in (
        (lambda: rollouts.pause(label, reason="Lunch"), "Paused"),
        (lambda: rollouts.resume(label), ""),
        (lambda: rollouts.halt(label, reason="Fails"), "Halted"),
        (lambda: rollouts.resume(label), ""),
        (lambda: world.withdraw("a"), "Withdrawn"),
    ):
        change()
        shown = [each for each in ("Paused", "Halted", "Withdrawn") if f">{each}<" in index(world)]
        assert shown == [each for each in (badge,) if each]
    page = next((world.public / FOLDER).glob("improvements/*.html")).read_text()
    assert page.count("Offered again.") == 1  # of the pause, nothing is left in what is signed
    world.baseline(name=BaselineName("linux-aarch64", "27.0", "27A1"))
    versions = Told(world).json("versions.json")["signed"]["products"][0]["baselines"]
    assert [each["version"] for each in versions] == ["26.3.1", "27.0"]
    world.publisher.retire(world.product, BaselineName("linux-aarch64", "27.0", "27A1"))
    versions = Told(world).json("versions.json")["signed"]["products"][0]["baselines"]
    assert [each["retired"] for each in versions] == [False, True]


def test_the_same_repository_always_tells_the_same(told: Told) -> None:
    before = lasting(told)
    shutil.rmtree(told.folder)
    with announced(told.vendor.repository, no_passphrase) as publication:
        publication.refresh()
    assert lasting(told) == before


def test_each_file_is_for_everybody_whatever_the_umask(vendor: Vendor) -> None:
    before = os.umask(0o077)
    try:
        vendor.release()
    finally:
        os.umask(before)
    for path in [vendor.public / FOLDER, *(vendor.public / FOLDER).rglob("*")]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o755 if path.is_dir() else 0o644), path


def test_what_stays_the_same_stays_the_same_file(world: Vendor) -> None:
    """Caches know a file by its time, which must not change for nothing."""
    folder = world.public / FOLDER
    before = {path.relative_to(folder): path.stat() for path in folder.rglob("*.*")}
    with announced(world.repository, no_passphrase) as publication:
        publication.refresh()
    after = {path.relative_to(folder): path.stat() for path in folder.rglob("*.*")}
    changed = {str(path) for path in before if before[path].st_mtime_ns != after[path].st_mtime_ns}
    assert changed <= TIMED | {"csaf", "csaf/2023", "osv", "improvements"}
    folders = folder.stat()
    with announced(world.repository, no_passphrase):
        pass
    assert folder.stat() == folders


@pytest.mark.slow
def test_killed_at_any_write_the_old_set_or_the_new_one_is_served(
    world: Vendor, tmp_path: Path
) -> None:
    told, path = Told(world), world.repository.path
    before = told.files()
    shutil.copytree(path, tmp_path / "before")
    outcomes = []
    for call in range(1, 400):
        shutil.rmtree(path)
        shutil.copytree(tmp_path / "before", path)

        def run(call: int = call) -> None:
            def kill() -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            with trouble_at(call, kill):
                world.publisher.withdraw(world.product, "26.3.1 (a)", reason="it crashes")

        if not os.WIFSIGNALED(in_a_process_of_its_own(run)):
            break
        found = told.files()
        is_old = found == before
        assert is_old or "Withdrawn" in index(world)
        assert found.keys() == before.keys()
        assert is_old or states(world) == ["withdrawn"]  # nothing is told before it is true
        outcomes.append(is_old)
        withdrawn = states(world) == ["withdrawn"]
        with announced(world.repository, no_passphrase) as publication:
            publication.refresh()
        assert ("Withdrawn" in index(world)) == withdrawn
    assert outcomes == sorted(outcomes, reverse=True)
    assert len(set(outcomes)) == 2


def test_a_crash_after_the_publication_leaves_the_old_set_and_a_refresh_tells(
    world: Vendor,
) -> None:
    def run() -> None:
        def kill(new: Path, target: Path) -> None:
            os.kill(os.getpid(), signal.SIGKILL)

        place._switch = kill
        world.withdraw("a")

    before = Told(world).files()
    assert os.WIFSIGNALED(in_a_process_of_its_own(run))
    assert states(world) == ["withdrawn"]
    assert Told(world).files() == before
    with announced(world.repository, no_passphrase) as publication:
        publication.refresh()
    assert "Withdrawn" in index(world)
    assert not (world.repository.path / "staging").exists()


def test_a_failure_to_tell_is_one_warning_and_the_publication_stands(
    world: Vendor, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    before = Told(world).files()
    with monkeypatch.context() as patched:
        patched.setattr(place, "create_file", fail)
        world.withdraw("a")
    assert states(world) == ["withdrawn"]
    assert Told(world).files() == before
    (record,) = caplog.records
    assert record.getMessage().startswith("The change is published, but ")
    assert "No space left on device" in record.getMessage()
    assert "`repoint repository refresh` tries again" in record.getMessage()


def test_a_file_system_that_cannot_exchange_names_gets_the_set_too(
    world: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(22, "Invalid argument")

    monkeypatch.setattr(place, "exchange", refuse)
    world.withdraw("a")
    assert "Withdrawn" in index(world)
    assert not list(world.public.glob("*.old"))


def test_without_the_public_address_only_what_needs_it_is_left_out(vendor: Vendor) -> None:
    vendor.improve()
    environment = {"REPOINT_REPOSITORY": str(vendor.repository.path)}
    said = works("publish", vendor.product, env=environment)
    assert "Set it with `repoint repository address https://…`" in said
    files = Told(vendor).files()
    assert {"index.html", "versions.json", "osv/index.json"} <= files.keys()
    assert not any(path.startswith(("atom", "csaf")) for path in files)
    assert "atom.xml" not in index(vendor)

    said = works("repository", "address", ADDRESS, env=environment)
    assert f"The public address is {ADDRESS}." in said
    files = Told(vendor).files()
    assert {"atom.xml", "csaf/feed-tlp-white.json", "csaf/provider-metadata.json"} <= files.keys()
    vendor.improve({"engine": {"main.py": "VERSION = 'newer'\n"}})
    assert "address" not in works("publish", vendor.product, env=environment)


def test_the_address_needs_no_key(world: Vendor, monkeypatch: pytest.MonkeyPatch) -> None:
    (world.repository.path / "keys").rename(world.repository.path / "away")
    moved = "https://elsewhere.example"
    serve_at(world, moved)
    assert moved in (world.public / FOLDER / "atom.xml").read_text()


def test_a_repository_without_a_product_tells_nothing_wrong(tmp_path: Path) -> None:
    repository = Repository.create(tmp_path / "updates", passphrase=None)
    with announced(repository, no_passphrase) as publication:
        publication.serve_at(ADDRESS)
    text = (repository.public / FOLDER / "index.html").read_text()
    assert "No improvement has been published yet." in text
    assert not (repository.public / FOLDER / "csaf").exists()
