"""Administrators' tools read the current versions from a signed list."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from securesystemslib.exceptions import UnverifiedSignatureError
from tuf.api.metadata import Metadata, Timestamp

from repoint.publisher.feeds.announce import announced
from tests.publisher.feeds.support import Told
from tests.world import Vendor, no_passphrase

FORMATS = Path(__file__).resolve().parents[3] / "docs/formats.md"


def verified(root: bytes, versions: bytes) -> Any:
    """Return what the example of the reference returns."""
    section = FORMATS.read_text().partition("### Current versions\n")[2]
    example = re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0]
    names: dict[str, Any] = {"root_bytes": root, "versions_bytes": versions}
    exec(example, names)
    return names["versions"]


def test_the_example_of_the_reference_verifies_the_list(told: Told) -> None:
    root, versions = told.vendor.repository.root_bytes(), (told.folder / "versions.json")
    (product,) = verified(root, versions.read_bytes())["products"]
    assert (product["product"], product["vendor"]) == ("acme-kiosk", "Acme Ltd")
    first, second = product["baselines"]
    assert (first["version"], first["current"]) == ("26.3.1", "26.3.1 (b)")
    assert (second["platform"], second["current"]) == ("linux-aarch64", "26.3.0")
    states = [(each["letter"], each["state"]) for each in first["improvements"]]
    assert states == [("a", "withdrawn"), ("b", "offered"), ("c", "halted"), ("d", "paused")]
    assert [each["exploited"] for each in first["improvements"]] == [False, True, False, False]
    for each in first["improvements"]:
        assert (told.folder / each["page"]).is_file()


def test_a_list_that_somebody_changed_does_not_verify(told: Told) -> None:
    root, versions = told.vendor.repository.root_bytes(), (told.folder / "versions.json")
    forged = versions.read_bytes().replace(b"withdrawn", b"offered")
    with pytest.raises(UnverifiedSignatureError):
        verified(root, forged)


def test_the_list_expires_with_the_timestamp_and_a_refresh_renews_it(vendor: Vendor) -> None:
    told = Told(vendor)
    before = told.json("versions.json")["signed"]["version"]
    with announced(vendor.repository, no_passphrase) as publication:
        publication.rotate("timestamp", [publication.new_key_file("timestamp", None)])
    after = verified(vendor.repository.root_bytes(), (told.folder / "versions.json").read_bytes())
    timestamp: Metadata[Timestamp] = Metadata.from_file(
        str(vendor.public / "metadata/timestamp.json")
    )
    assert after["expires"] == f"{timestamp.signed.expires:%Y-%m-%dT%H:%M:%SZ}"
    assert after["version"] == timestamp.signed.version > before
