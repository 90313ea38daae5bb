"""Old, frozen and mixed states of a repository, all of them signed by the vendor once."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from repoint.device.errors import NotTrustedError, StaleRepositoryError
from repoint.repository import names
from tests.attacks.mirror import Mirror
from tests.cli.command import everything, refusal, repoint, works
from tests.clock import set_clock
from tests.places import Place
from tests.world import FIXED, NAME, Files, Vendor, no_passphrase

LATER: Files = {**FIXED, "main.py": "VERSION = 'later'\n"}
Take = Callable[..., Mirror]


@pytest.mark.slow
def test_a_mirror_that_is_behind_is_refused(place: Place, vendor: Vendor, tmp_path: Path) -> None:
    place.enroll()
    shutil.copytree(vendor.public, tmp_path / "old")
    vendor.release({"engine": LATER})
    place.device.check(None)
    before = everything(place.folder)
    place.server.folder = tmp_path / "old"
    answer = repoint("check", "--store", place.folder / "store")
    refusal(answer, "is older than what this device already has", "Use another mirror")
    assert everything(place.folder) == before
    out = works("status", "--store", place.folder / "store")
    assert "failed: The repository at" in out


def test_a_mirror_that_is_frozen_is_refused_as_soon_as_what_it_serves_has_expired(
    place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    place.enroll()
    refresh(vendor, datetime.now(UTC))
    place.server.etags = False
    place.device.check(None)
    before = everything(place.folder)
    set_clock(monkeypatch, timedelta(days=8))
    with pytest.raises(StaleRepositoryError, match="someone withholds updates from this device"):
        place.device.check(None)
    assert everything(place.folder) == before


def test_a_frozen_mirror_that_says_nothing_has_changed_is_believed_no_longer_than_that(
    place: Place, vendor: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The idle check ends at a 304, which nobody has signed."""
    place.enroll()
    place.device.check(None)
    stamp = vendor.public / "metadata/timestamp.json"
    frozen = stamp.read_bytes()
    vendor.release({"engine": LATER})
    stamp.write_bytes(frozen)
    place.device.check(None)
    assert place.server.requests[-1].status == 304
    set_clock(monkeypatch, timedelta(days=8))
    with pytest.raises(StaleRepositoryError, match="has expired"):
        place.device.check(None)


@pytest.mark.slow
@pytest.mark.parametrize("role", ["snapshot", "targets", "acme-kiosk", "acme-kiosk.catalog"])
def test_an_older_part_in_the_place_of_a_newer_one_is_refused(
    place: Place, vendor: Vendor, unharmed: Callable[[], None], role: str
) -> None:
    """Mix and match: each part is genuine, and together they are no state there ever was."""
    vendor.release({"engine": LATER})
    with vendor.repository.publication(no_passphrase) as publication:
        publication.rotate("acme-kiosk", [publication.new_key_file("acme-kiosk", None)])
        publication.put_catalog("acme-kiosk", b"{}")
    metadata = vendor.public / "metadata"
    versions = sorted(int(p.name.split(".")[0]) for p in metadata.glob(f"*.{role}.json"))
    assert len(versions) > 1
    older = (metadata / f"{versions[-2]}.{role}.json").read_bytes()
    (metadata / f"{versions[-1]}.{role}.json").write_bytes(older)
    with pytest.raises((NotTrustedError, StaleRepositoryError)):
        place.device.check(None)
    unharmed()


@pytest.mark.one_quick
@pytest.mark.parametrize("role", ["targets", "acme-kiosk", "acme-kiosk.catalog"])
def test_the_thief_of_snapshot_and_timestamp_cannot_bring_back_an_older_part(
    place: Place, vendor: Vendor, take_over: Take, role: str
) -> None:
    vendor.release({"engine": LATER})
    with vendor.repository.publication(no_passphrase) as publication:
        publication.rotate("acme-kiosk", [publication.new_key_file("acme-kiosk", None)])
    place.enroll()
    before = place.device.check(None)
    mirror = take_over("timestamp", "snapshot")
    older = mirror.latest(role).signed.version - 1
    assert older > 0
    mirror.lead_to(role, versions={role: older})
    with pytest.raises(StaleRepositoryError, match="is older than what this device already has"):
        place.device.check(None)
    assert place.device.store.one(None).documents.catalog() is not None
    assert before.offer is not None


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("product", "acme-phone"),
        ("letter", "c"),
        ("baseline", {"platform": "linux-x86_64", "version": "26.3.0", "build": "25D2128"}),
        ("baseline", {"platform": "linux-x86_64", "version": "26.3.1", "build": "25D2129"}),
        ("baseline", {"platform": "linux-aarch64", "version": "26.3.1", "build": "25D2128"}),
    ],
)
def test_another_improvement_than_the_requested_one_is_refused(
    place: Place,
    take_over: Take,
    unharmed: Callable[[], None],
    field: str,
    value: object,
) -> None:
    """Signed by the right key, under the right name, and yet for something else."""
    mirror = take_over("timestamp", "snapshot", "acme-kiosk", "acme-kiosk.catalog")
    mirror.forge()
    other(mirror, **{field: value})
    place.device.check(None)
    with pytest.raises(NotTrustedError, match=r"instead of 26\.3\.1 \(b\)"):
        place.device.install(None, user_initiated=True)
    assert not [r for r in place.server.requests if r.path.endswith("b/engine.patch")]
    unharmed()


def test_extraneous_dependencies_are_refused(
    place: Place, take_over: Take, unharmed: Callable[[], None]
) -> None:
    """An improvement cannot bring what the baseline does not have."""
    mirror = take_over("timestamp", "snapshot", "acme-kiosk", "acme-kiosk.catalog")
    mirror.forge()
    record = read(mirror)
    (engine,) = record["components"]
    other(mirror, components=[engine, {**engine, "name": "miner"}])
    place.device.check(None)
    with pytest.raises(Exception, match="miner, which is not a component of acme-kiosk"):
        place.device.install(None, user_initiated=True)
    assert not [r for r in place.server.requests if r.path.endswith(".patch")]
    unharmed()


WHERE = ("acme-kiosk", NAME, "b")


def read(mirror: Mirror) -> dict[str, Any]:
    path = names.improvement_path(*WHERE)
    target = mirror.latest("acme-kiosk").signed.targets[path]
    record: dict[str, Any] = json.loads(
        (mirror.folder / "targets" / target.get_prefixed_paths()[0]).read_bytes()
    )
    return record


def other(mirror: Mirror, **fields: object) -> None:
    """Sign the forged improvement once more, with other fields."""
    record = {**read(mirror), **fields}
    mirror.put("acme-kiosk", {names.improvement_path(*WHERE): json.dumps(record).encode()})
    mirror.lead_to("acme-kiosk")


def refresh(vendor: Vendor, now: datetime) -> None:
    with vendor.repository.publication(no_passphrase, now=lambda: now) as publication:
        publication.refresh()
