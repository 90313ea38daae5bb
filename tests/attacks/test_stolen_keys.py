"""One stolen key, or all that are online: what their thief can do, and what not."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root

from repoint.device.errors import NotTrustedError, StaleRepositoryError
from repoint.model.errors import RepointError
from repoint.repository import names
from tests.attacks.mirror import ONLINE, Mirror, key_of
from tests.cli.command import everything
from tests.places import Place, reason_of
from tests.world import FIXED, Files, Vendor, no_passphrase

Take = Callable[..., Mirror]
ALL = ("timestamp", "snapshot", "targets", "acme-kiosk", "acme-kiosk.catalog")
LATER: Files = {**FIXED, "main.py": "VERSION = 'later'\n"}


@pytest.mark.slow
@pytest.mark.parametrize("stolen", ALL)
def test_the_thief_of_any_one_key_cannot_have_anything_installed(
    place: Place, take_over: Take, unharmed: Callable[[], None], stolen: str
) -> None:
    take_over(stolen).forge()
    with pytest.raises((NotTrustedError, RepointError)):
        place.device.check(None)
    assert reason_of(place.device.install(None, user_initiated=True)) == "never checked"
    unharmed()


def test_the_thief_of_all_online_keys_cannot_have_a_forgery_installed(
    place: Place, take_over: Take, unharmed: Callable[[], None]
) -> None:
    take_over(*ONLINE).forge()
    with pytest.raises(NotTrustedError, match="is not signed with the keys this device trusts"):
        place.device.check(None)
    unharmed()


@pytest.mark.slow
def test_the_same_forgery_with_the_offline_key_as_well_is_installed(
    place: Place, take_over: Take
) -> None:
    """What shows that it is the missing key, and nothing else, that keeps the others out."""
    place.enroll()
    take_over(*ONLINE, "acme-kiosk").forge()
    place.update()
    assert place.text() == "VERSION = 'evil'\n"


@pytest.mark.slow
def test_the_thief_of_all_online_keys_cannot_bring_back_a_lower_letter(
    place: Place, vendor: Vendor, take_over: Take
) -> None:
    place.enroll()
    vendor.release({"engine": LATER})
    place.update()
    assert place.text() == "VERSION = 'later'\n"
    mirror = take_over(*ONLINE)
    catalog = mirror.catalog()
    lower = tuple(offer for offer in catalog.offers if offer.letter == "a")
    mirror.offer(msgspec.structs.replace(catalog, offers=lower))
    mirror.lead_to("acme-kiosk.catalog")
    assert place.device.check(None).offer is None
    assert reason_of(place.device.install(None, user_initiated=True)) == "up to date"
    assert place.text() == "VERSION = 'later'\n"


@pytest.mark.slow
@pytest.mark.parametrize("digest", ["../../../../evil", "/{folder}/evil", "", "A" * 64, "a" * 63])
def test_the_thief_of_all_online_keys_cannot_have_a_file_written_elsewhere(
    place: Place, take_over: Take, unharmed: Callable[[], None], tmp_path: Path, digest: str
) -> None:
    mirror = take_over(*ONLINE)
    path = names.catalog_path("acme-kiosk")
    shown = digest.replace("{folder}", str(tmp_path))
    mirror.put("acme-kiosk.catalog", {path: b"evil" * 100}, sha256=shown)
    mirror.lead_to("acme-kiosk.catalog")
    for folder in (mirror.folder, mirror.folder / f"targets/acme-kiosk/{tmp_path}"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "evil.catalog.json").write_bytes(b"evil" * 100)
    for folder in (place.folder, tmp_path):
        (folder / "evil.part").write_bytes(b"precious")
    with pytest.raises(NotTrustedError, match="which is not a digest"):
        place.device.check(None)
    for folder in (place.folder, tmp_path):
        assert (folder / "evil.part").read_bytes() == b"precious"
    unharmed()


@pytest.mark.slow
def test_the_thief_of_one_of_two_root_keys_cannot_make_a_root(
    place: Place, vendor: Vendor, take_over: Take, unharmed: Callable[[], None]
) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        publication.rotate("root", [publication.new_key_file("root", None) for _ in range(2)], 2)
    place.device.check(None)
    mirror = take_over()
    root: Metadata[Root] = mirror.latest("root")
    mine = CryptoSigner.generate_ed25519()
    root.signed.version += 1
    for role in ("timestamp", "snapshot", "targets"):
        root.signed.add_key(mine.public_key, role)
    root.signatures.clear()
    root.sign(key_of(vendor, "root@2"))
    (mirror.folder / f"metadata/{root.signed.version}.root.json").write_bytes(root.to_bytes())
    (place.product.metadata / "seen").unlink()
    with pytest.raises(NotTrustedError, match="root was signed by 1/2 keys"):
        place.device.check(None)
    unharmed()


def test_a_stolen_key_is_worth_nothing_after_its_rotation(
    place: Place, vendor: Vendor, take_over: Take, unharmed: Callable[[], None]
) -> None:
    for role in (*ONLINE, "acme-kiosk"):
        with vendor.repository.publication(no_passphrase) as publication:
            publication.rotate(role, [publication.new_key_file(role, None)])
    mirror = take_over(*ONLINE, "acme-kiosk")
    mirror.forge()  # with the old keys, which lie beside the new ones
    place.server.folder = vendor.public
    place.device.check(None)
    place.server.folder = mirror.folder
    with pytest.raises(NotTrustedError):
        place.device.check(None)
    unharmed()


def test_after_fast_forward_a_rotation_of_the_stolen_keys_brings_devices_back(
    place: Place, vendor: Vendor, take_over: Take, tmp_path: Path
) -> None:
    """Whoever holds timestamp and snapshot can sign the highest of all versions."""
    place.enroll()
    mirror = take_over("timestamp", "snapshot")
    highest = 2**31 - 1
    mirror.sign("snapshot", lambda signed: None, version=highest)

    def timestamp(signed: object) -> None:
        signed.snapshot_meta = MetaFile(highest)  # type: ignore[attr-defined]

    mirror.sign("timestamp", timestamp, version=highest)
    place.device.check(None)  # the thief may do that
    place.server.folder = vendor.public
    with pytest.raises(StaleRepositoryError):
        place.device.check(None)
    for role in ("timestamp", "snapshot"):
        with vendor.repository.publication(no_passphrase) as publication:
            publication.rotate(role, [publication.new_key_file(role, None)])
    place.update()
    assert place.text() == "VERSION = 'new'\n"


def test_the_key_of_one_product_signs_nothing_of_another(
    place: Place, vendor: Vendor, take_over: Take, unharmed: Callable[[], None]
) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        publication.add_product("another", passphrase=None)
        publication.put_catalog("another", b"{}")
    mirror = take_over("timestamp", "snapshot", "another", "another.catalog")
    before = mirror.catalog()
    path = names.catalog_path(vendor.product)
    for role in ("another", "another.catalog"):
        mirror.put(role, {path: b"evil"})
    mirror.lead_to("another", "another.catalog")
    place.device.check(None)
    assert place.product.documents.catalog() == before
    unharmed()


@pytest.mark.slow
def test_all_files_of_a_mirror_changed_one_by_one_never_harm_a_device(
    place: Place, take_over: Take, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A malicious mirror without keys: whatever it does, the tree is wholly the old or the new."""
    place.enroll()
    monkeypatch.setattr("repoint.device.fetch.fetcher.time.sleep", lambda seconds: None)
    old = everything(place.graft.resolve())
    untouched = tmp_path / "untouched"
    mirror = take_over()
    shutil.copytree(mirror.folder, untouched)
    forget(place)
    place.server.requests.clear()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    files = sorted({r.path.lstrip("/") for r in place.server.requests if r.status == 200})
    assert len(files) >= 7
    place.product.links.clear_staged()
    changes: dict[str, Callable[[Path], object]] = {
        "gone": Path.unlink,
        "empty": lambda path: path.write_bytes(b""),
        "junk": lambda path: path.write_bytes(b"\xff" * 5000),
        "list": lambda path: path.write_bytes(b"[]"),
        "nested": lambda path: path.write_bytes(b"[" * 10_000),
        "cut": lambda path: path.write_bytes(path.read_bytes()[:-7]),
    }
    for file in files:
        for change in changes.values():
            shutil.copyfile(untouched / file, mirror.folder / file)
            change(mirror.folder / file)
            forget(place)
            with pytest.raises(RepointError):  # a patch is only met by the second
                place.device.check(None)
                place.device.install(None, user_initiated=True)
            assert everything(place.graft.resolve()) == old
            assert place.device.status(None).staged == ""
        shutil.copyfile(untouched / file, mirror.folder / file)


def forget(place: Place) -> None:
    """Remove everything that a device has fetched since its enrolment."""
    for left in ("metadata", "catalog.json", "checked.json", "offers", "downloads"):
        path = place.product.path / left
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
