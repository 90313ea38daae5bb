"""Signed with the vendor's own keys and yet unfit: a device believes no record more than it must."""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from repoint.delta.container import MAGIC, read_header
from repoint.delta.writer import PatchInput, write_patch
from repoint.delta.zstd import compress as zstd_compress
from repoint.model.catalog import Offer
from repoint.model.encoding import encode_record
from repoint.publisher.catalog.catalogs import read_catalog
from repoint.repository import names
from tests.cli.command import everything, refusal, repoint, works
from tests.places import Place
from tests.world import NAME, Vendor, no_passphrase

Record = dict[str, Any]
WHERE = (NAME, "a")
A_FILE = {"kind": "file", "mode": 0o444, "size": 1, "sha256": "0" * 64}
NEVER = ("metadata", "catalog.json")


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    """A vendor that has published nothing but the baseline."""
    made = Vendor(tmp_path / "vendor")
    made.baseline()
    return made


@pytest.fixture(scope="module")
def draft(tmp_path_factory: pytest.TempPathFactory) -> tuple[Record, bytes]:
    """A record and its patch as an honest vendor builds them."""
    vendor = Vendor(tmp_path_factory.mktemp("honest"))
    vendor.baseline()
    built = vendor.improve()
    folder = built.draft.folder
    record = json.loads((folder / "improvement.json").read_bytes())
    return record, (folder / "engine.patch").read_bytes()


def publish(vendor: Vendor, record: Record, patch: bytes) -> None:
    """Sign and offer whatever it is."""
    product = vendor.product
    record["components"][0]["patch_size"] = len(patch)
    offer = Offer(NAME, "a", "offered", since=1)
    catalog = msgspec.structs.replace(read_catalog(vendor.repository, product), offers=(offer,))
    with vendor.repository.publication(no_passphrase) as publication:
        publication.add_targets(
            product,
            {
                names.improvement_path(product, *WHERE): json.dumps(record).encode(),
                names.patch_path(product, *WHERE, "engine"): patch,
            },
        )
        publication.put_catalog(product, encode_record(catalog))


def add(path: str, **entry: object) -> Callable[[Record], None]:
    def change(layer: Record) -> None:
        layer["changes"].append({"entry": {"path": path, **(entry or A_FILE)}})

    return change


def remove(path: str) -> Callable[[Record], None]:
    return lambda layer: layer["removed"].append(path)


def both(*changes: Callable[[Record], None]) -> Callable[[Record], None]:
    def change(layer: Record) -> None:
        for each in changes:
            each(layer)

    return change


def offer_changed(
    place: Place, draft: tuple[Record, bytes], change: Callable[[Record], None]
) -> None:
    """Enrol, then publish a draft whose layer was changed after it was made."""
    place.enroll()
    record, patch = json.loads(json.dumps(draft[0])), draft[1]
    change(record["components"][0]["layer"])
    publish(place.vendor, record, patch)


@pytest.mark.one_quick
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (add("../evil"), "The path '../evil' would leave the tree"),
        (add("/etc/evil"), "The path '/etc/evil' would leave the tree"),
        (add("lib/../../evil"), "The path 'lib/../../evil' would leave the tree"),
        (add("out", kind="link", target="/etc"), "The link 'out' leads out of the tree"),
        (add("out", kind="link", target="../etc"), "The link 'out' leads out of the tree"),
        (remove("../app"), "The path '../app' would leave the tree"),
    ],
)
def test_a_layer_whose_paths_leave_the_tree_is_refused_when_it_is_read(
    place: Place, draft: tuple[Record, bytes], change: Callable[[Record], None], message: str
) -> None:
    offer_changed(place, draft, change)
    before = everything(place.folder, *NEVER)
    answer = repoint("check", "--store", place.folder / "store")
    refusal(answer, "a.json is not a valid improvement", message, "tell the vendor")
    assert everything(place.folder, *NEVER) == before
    works("status", "--store", place.folder / "store")


THROUGH_A_LINK = both(
    remove("share"), remove("share/readme"),
    add("lib2", kind="link", target="lib"), add("lib2/evil"),
)  # fmt: skip
BY_WAY_OF_OTHERS = both(
    add("lib/up", kind="link", target=".."), add("out", kind="link", target="lib/up/.."),
)  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize(
    ("change", "message"),
    [
        (THROUGH_A_LINK, "'lib2/evil' lies below 'lib2', which is not a folder"),
        (BY_WAY_OF_OTHERS, "'out' leads out of the tree through other links"),
        (remove("nothing"), "removes 'nothing', which is not in the baseline"),
        (add("new"), "does not result in the tree that its seal names"),
    ],
)
def test_a_layer_that_does_not_fit_the_baseline_is_refused_before_its_patch_is_fetched(
    place: Place, draft: tuple[Record, bytes], change: Callable[[Record], None], message: str
) -> None:
    offer_changed(place, draft, change)
    works("check", "--store", place.folder / "store")
    before = everything(place.folder)
    place.server.requests.clear()
    answer = repoint("install", "--store", place.folder / "store")
    refusal(answer, "The layer of engine in 26.3.1 (a)", message, "nothing was installed")
    assert not [r for r in place.server.requests if r.path.endswith(".patch")]
    assert everything(place.folder) == before


def other_patch(folder: Path, honest: bytes) -> bytes:
    """A whole and valid patch, for other files than the layer names."""
    (folder / "new").write_bytes(b"something else")
    (folder / "honest").write_bytes(honest)
    named = [entry.name for entry in read_header(folder / "honest").entries]
    inputs = [PatchInput(name, folder / "new", "", None) for name in named]
    write_patch(folder / "other", inputs)
    return (folder / "other").read_bytes()


def lying_patch(folder: Path, honest: bytes) -> bytes:
    """A patch that promises what is signed and holds something else."""
    (folder / "honest").write_bytes(honest)
    header = read_header(folder / "honest")
    liars = {}
    inputs = []
    for number, entry in enumerate(header.entries):
        (folder / str(number)).write_bytes(b"x" * entry.size)
        liars[entry.name] = entry
        inputs.append(PatchInput(entry.name, folder / str(number), "", None))
    made = write_patch(folder / "lying", inputs)
    raw = (folder / "lying").read_bytes()
    entries = tuple(
        msgspec.structs.replace(entry, sha256=liars[entry.name].sha256) for entry in made
    )
    old = read_header(folder / "lying")
    unpacked = msgspec.msgpack.encode(msgspec.structs.replace(old, entries=entries))
    packed = zstd_compress(unpacked)
    payload = raw[len(raw) - sum(entry.length for entry in made) :]
    assert raw.startswith(MAGIC)
    lead = struct.Struct(f"<{len(MAGIC)}sII32s")
    return lead.pack(MAGIC, len(packed), len(unpacked), hashlib.sha256(packed).digest()) + (
        packed + payload
    )


def garbage(folder: Path, honest: bytes) -> bytes:
    return b"\0" * 1000


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "message"),
    [
        (other_patch, "the patch gives another file than the one that is signed"),
        (lying_patch, "decoding does not give the file that is signed"),
        (garbage, "this is not a Repoint patch"),
    ],
)
def test_a_patch_that_gives_something_else_than_what_is_signed_is_refused(
    place: Place,
    draft: tuple[Record, bytes],
    tmp_path: Path,
    make: Callable[[Path, bytes], bytes],
    message: str,
) -> None:
    place.enroll()
    record = json.loads(json.dumps(draft[0]))
    publish(place.vendor, record, make(tmp_path, draft[1]))
    works("check", "--store", place.folder / "store")
    before = everything(place.folder, "downloads")
    answer = repoint("install", "--store", place.folder / "store")
    refusal(answer, "The patch for engine in 26.3.1 (a) is not what was signed", message)
    assert everything(place.folder, "downloads") == before
    assert list(place.product.downloads.glob("*")) == []
