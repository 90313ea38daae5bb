"""A repository that is not to be trusted: nothing of it reaches the device."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.cli.command import Answer, everything, refusal, repoint
from tests.places import Place
from tests.serving import WebServer
from tests.world import OLD, Vendor, no_passphrase, write_tree

Alter = Callable[[bytes], bytes]


def enroll(
    folder: Path, shop: Vendor, url: str, *, root: Path | None = None, graft: Path | None = None
) -> Answer:
    return repoint(
        "enroll", url, "--product", shop.product,
        "--root", root or shop.public / "metadata/1.root.json",
        "--graft", f"engine={graft or folder / 'app/engine'}", "--platform", "linux-x86_64",
        "--store", folder / "store",
    )  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A device with the product, not enrolled yet."""
    write_tree(tmp_path / "device/app/engine", OLD)
    return tmp_path / "device"


def refused_at_enrolment(folder: Path, answer: Answer, *expected: str) -> None:
    refusal(answer, *expected)
    assert not list((folder / "app").glob(".*"))
    left = {path.name for path in (folder / "store").rglob("*")}
    assert left <= {"lock", "policy.json", "products", "trees"}


@pytest.fixture
def altered(web: WebServer) -> Iterator[Callable[[str, Alter], None]]:
    """Alters what is served under a path that contains some text."""

    def alter(part: str, change: Alter) -> None:
        web.alter = lambda path, data: change(data) if part in path else data

    yield alter
    web.alter = lambda path, data: data


def flip(data: bytes) -> bytes:
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


def half(data: bytes) -> bytes:
    return data[: len(data) // 2]


def huge(data: bytes) -> bytes:
    return data + b" " * (1 << 20)


def forged(data: bytes) -> bytes:
    document = json.loads(data)
    document["signed"]["expires"] = "2099-01-01T00:00:00Z"
    return json.dumps(document).encode()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "change", "expected"),
    [
        ("timestamp.json", half, "was changed or damaged"),
        ("timestamp.json", forged, "is not signed with the keys this device trusts"),
        ("timestamp.json", huge, "sends more than its signed length"),
        (".snapshot.json", flip, "snapshot.json was changed or damaged"),
        (".snapshot.json", half, "was changed or damaged"),
        (".snapshot.json", huge, "sends more than its signed length"),
        (".targets.json", flip, "was changed or damaged"),
        (".acme-kiosk.catalog.json", flip, "was changed or damaged"),
        (".acme-kiosk.catalog.json", huge, "sends more than its signed length"),
        ("/targets/", flip, "is not what the vendor signed"),
        ("/targets/", half, "is shorter than its signed size"),
        ("/targets/", huge, "is longer than its signed size"),
    ],
)  # fmt: skip
def test_altered_metadata_is_refused(
    folder: Path,
    shop: Vendor,
    web: WebServer,
    altered: Callable[[str, Alter], None],
    part: str,
    change: Alter,
    expected: str,
) -> None:
    altered(part, change)
    before = everything(folder / "app")
    refused_at_enrolment(folder, enroll(folder, shop, web.url), expected)
    assert everything(folder / "app") == before


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (flip, "is not what the vendor signed: it was changed in transit"),
        (half, "is shorter than its signed size of"),
        (huge, "is longer than its signed size of"),
    ],
)
def test_an_altered_patch_is_refused_and_nothing_is_staged(
    enrolled: Place, altered: Callable[[str, Alter], None], change: Alter, expected: str
) -> None:
    altered(".patch", change)
    before = everything(enrolled.folder, "metadata", "downloads")
    answer = repoint("install", "--store", enrolled.folder / "store")
    refusal(answer, expected)
    assert everything(enrolled.folder, "metadata", "downloads") == before
    assert {left.suffix for left in enrolled.product.downloads.glob("*")} <= {".part"}
    shutil.rmtree(enrolled.product.downloads, ignore_errors=True)


def test_the_root_of_another_repository_is_refused(
    folder: Path, shop: Vendor, web: WebServer, tmp_path: Path
) -> None:
    other = Vendor(tmp_path / "other")
    answer = enroll(folder, shop, web.url, root=other.public / "metadata/1.root.json")
    refused_at_enrolment(
        folder, answer, "is not signed with the keys this device trusts",
        "Check that the trusted root is the vendor's",
    )  # fmt: skip


@pytest.mark.slow
def test_a_file_that_is_no_root_is_refused_before_any_request(
    folder: Path, shop: Vendor, web: WebServer, tmp_path: Path
) -> None:
    web.requests.clear()
    (tmp_path / "notes.json").write_text("{}")
    for root, expected in (
        (tmp_path / "notes.json", "notes.json is not the trusted root of a repository"),
        (shop.public / "metadata/timestamp.json", "is not the trusted root of a repository"),
        (tmp_path / "nothing.json", "nothing.json cannot be read: No such file"),
    ):
        refusal(
            enroll(folder, shop, web.url, root=root), expected, "root.json that the vendor gave"
        )
    assert not (folder / "store").exists()
    assert web.requests == []


def test_another_repository_in_the_place_of_the_known_one_is_refused(
    enrolled: Place, web: WebServer, tmp_path: Path
) -> None:
    other = Vendor(tmp_path / "other")
    other.baseline()
    before = everything(enrolled.folder)
    web.folder = other.public
    try:
        answer = repoint("check", "--store", enrolled.folder / "store")
    finally:
        web.folder = enrolled.vendor.public
    refusal(answer, "is not signed with the keys this device trusts")
    assert everything(enrolled.folder) == before


def test_an_address_that_is_no_repository_is_refused(
    folder: Path, shop: Vendor, web: WebServer
) -> None:
    refused_at_enrolment(folder, enroll(folder, shop, f"{web.url}/nothing"),
                         "responds with status 404", "Check the repository's address")  # fmt: skip
    refused_at_enrolment(folder, enroll(folder, shop, "ftp://updates.example.org"),
                         "'ftp://updates.example.org' is not an http or https URL")  # fmt: skip


def test_a_repository_that_has_expired_is_refused(folder: Path, tmp_path: Path) -> None:
    vendor = Vendor(tmp_path / "vendor")
    vendor.baseline()
    refresh(vendor, datetime.now(UTC) - timedelta(days=8))
    server = WebServer(vendor.public)
    try:
        answer = enroll(folder, vendor, server.url)
    finally:
        server.close()
    refused_at_enrolment(folder, answer, "has expired: timestamp.json is expired",
                         "Check this device's clock")  # fmt: skip


def refresh(vendor: Vendor, now: datetime) -> None:
    with vendor.repository.publication(no_passphrase, now=lambda: now) as publication:
        publication.refresh()
