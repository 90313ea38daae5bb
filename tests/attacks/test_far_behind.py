"""Devices that were off for years, while keys and thresholds changed and changed again."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repoint.device.errors import NotTrustedError
from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from tests.places import Place
from tests.world import FIXED, PLATFORM, Files, Vendor, no_passphrase

ROLES = (
    "root",
    "targets",
    "snapshot",
    "timestamp",
    "acme-kiosk",
    "acme-kiosk.catalog",
    "acme-kiosk.halt",
)
LATER: Files = {**FIXED, "main.py": "VERSION = 'later'\n"}


def rotate(vendor: Vendor, role: str, keys: int = 1, threshold: int = 1) -> None:
    with vendor.repository.publication(no_passphrase) as publication:
        made = [publication.new_key_file(role, None) for _ in range(keys)]
        publication.rotate(role, made, threshold)


@pytest.mark.slow
def test_a_device_follows_all_keys_through_many_rotations_and_thresholds(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    for keys, threshold in ((3, 2), (5, 3), (1, 1), (2, 2)):
        for role in ROLES:
            rotate(vendor, role, keys, threshold)
    vendor.release({"engine": LATER})
    place.update()
    assert place.text() == "VERSION = 'later'\n"
    versions = {path.name for path in (vendor.public / "metadata").glob("*.root.json")}
    assert len(versions) > 15


def test_a_root_that_has_expired_long_ago_still_leads_to_the_newest(
    place: Place, tmp_path: Path
) -> None:
    vendor = Vendor(tmp_path / "old-vendor")
    vendor.baseline()
    place.vendor, place.server.folder = vendor, vendor.public
    long_ago = datetime.now(UTC) - timedelta(days=1000)
    with vendor.repository.publication(no_passphrase, now=lambda: long_ago) as publication:
        publication.rotate("root", [publication.new_key_file("root", None)])
    expired = max((vendor.public / "metadata").glob("*.root.json"))
    for role in ("root", "timestamp"):
        rotate(vendor, role)
    vendor.release()
    place.device.enroll(
        vendor.product, place.server.url, expired.read_bytes(),
        {"engine": GraftRequest(place.graft)}, BaselineFilter(platform=PLATFORM),
    )  # fmt: skip
    place.update()
    assert place.text() == "VERSION = 'new'\n"


def test_a_gap_in_the_chain_of_roots_is_not_jumped(place: Place, vendor: Vendor) -> None:
    place.enroll()
    for _ in range(3):
        for role in ("root", "timestamp"):
            rotate(vendor, role)
    roots = sorted(
        (vendor.public / "metadata").glob("*.root.json"), key=lambda p: int(p.name.split(".")[0])
    )
    shutil.move(roots[2], vendor.folder / "kept.json")
    with pytest.raises(NotTrustedError, match="is not signed with the keys this device trusts"):
        place.device.check(None)
    assert place.text() == "VERSION = 'old'\n"
    shutil.move(vendor.folder / "kept.json", roots[2])
    place.update()
    assert place.text() == "VERSION = 'new'\n"
