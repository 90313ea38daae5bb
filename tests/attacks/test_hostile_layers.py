"""Layers that are signed by the right key and mean harm."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tuf.api.metadata import TargetFile

from repoint.device.errors import NotApplicableError, NotTrustedError, StoreWriteError
from repoint.model.errors import InvalidRecordError
from repoint.model.tree import Entry
from repoint.repository import names
from repoint.tree.build import TreeFiles, build_tree
from repoint.tree.links import first_escape
from tests.attacks.mirror import Mirror
from tests.attacks.test_repository_states import WHERE, other, read
from tests.places import Place

Take = Callable[..., Mirror]
ROLES = ("timestamp", "snapshot", "acme-kiosk", "acme-kiosk.catalog")
A_FILE = {"kind": "file", "mode": 0o444, "size": 1, "sha256": "0" * 64}


@pytest.fixture
def with_layer(take_over: Take) -> Callable[[Callable[[dict[str, Any]], None]], Mirror]:
    """Serve a forged improvement whose record was changed in some way."""

    def serve(change: Callable[[dict[str, Any]], None]) -> Mirror:
        mirror = take_over(*ROLES)
        mirror.forge()
        record: dict[str, Any] = read(mirror)
        change(record["components"][0])
        other(mirror, components=record["components"])
        return mirror

    return serve


WithLayer = Callable[[Callable[[dict[str, Any]], None]], Mirror]


def entry(path: str, **fields: object) -> Callable[[dict[str, Any]], None]:
    def change(component: dict[str, Any]) -> None:
        component["layer"]["changes"].append({"entry": {"path": path, **fields}})

    return change


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["device", "char", "block", "pipe", "socket", "hardlink", ""])
def test_a_device_or_anything_else_that_no_tree_holds_is_refused(
    place: Place, with_layer: WithLayer, unharmed: Callable[[], None], kind: str
) -> None:
    with_layer(entry("dev", kind=kind, mode=0o444))
    with pytest.raises(InvalidRecordError, match="is not a valid improvement"):
        place.device.check(None)
    unharmed()


@pytest.mark.slow
@pytest.mark.parametrize("mode", [0o4555, 0o2555, 0o6555])
def test_a_set_user_id_bit_that_the_baseline_has_not_is_refused(
    place: Place, with_layer: WithLayer, unharmed: Callable[[], None], mode: int
) -> None:
    def change(component: dict[str, Any]) -> None:
        for one in component["layer"]["changes"]:
            one["entry"]["mode"] = mode
        component["seal"] = seal_with(place, component)

    with_layer(change)
    place.device.check(None)
    place.server.requests.clear()
    with pytest.raises(NotApplicableError, match=r"would make main\.py run with another user"):
        place.device.install(None, user_initiated=True)
    assert not [r for r in place.server.requests if r.path.endswith(".patch")]
    unharmed()


def seal_with(place: Place, component: dict[str, Any]) -> str:
    """The seal that a changed record would truly have: nothing else is wrong with it."""
    import msgspec

    from repoint.model.tree import Layer
    from repoint.tree.compare import apply_layer
    from repoint.tree.digest import seal_of

    active = place.product.links.active()
    assert active is not None
    (part,) = place.product.generations.baseline(active).components
    return seal_of(apply_layer(part.entries, msgspec.convert(component["layer"], Layer)))


@pytest.mark.slow
@pytest.mark.parametrize("size", [1 << 40, 1 << 62, 10**30])
def test_a_file_of_a_terabyte_is_refused_before_a_byte_is_fetched(
    place: Place, with_layer: WithLayer, unharmed: Callable[[], None], size: int
) -> None:
    def change(component: dict[str, Any]) -> None:
        component["layer"]["changes"][0]["entry"]["size"] = size

    with_layer(change)
    place.device.check(None)
    place.server.requests.clear()
    with pytest.raises(StoreWriteError, match="The disk is full: 26"):
        place.device.install(None, user_initiated=True)
    assert not [r for r in place.server.requests if r.path.endswith(".patch")]
    unharmed()


def test_a_patch_of_a_terabyte_is_refused_before_a_byte_is_fetched(
    place: Place, with_layer: WithLayer, unharmed: Callable[[], None]
) -> None:
    with_layer(lambda component: component.update(patch_size=1 << 40))
    place.device.check(None)
    with pytest.raises(StoreWriteError, match="The disk is full"):
        place.device.install(None, user_initiated=True)
    unharmed()


def test_ten_million_paths_are_refused_before_a_byte_of_them_is_fetched(
    place: Place, take_over: Take, unharmed: Callable[[], None]
) -> None:
    mirror = take_over(*ROLES)
    mirror.forge()
    path = names.improvement_path(*WHERE)

    def enlarge(targets: Any) -> None:
        known = targets.targets[path]
        targets.targets[path] = TargetFile(400_000_000, known.hashes, path)

    mirror.sign("acme-kiosk", enlarge)
    mirror.lead_to("acme-kiosk")
    with pytest.raises(NotTrustedError, match="more than a document may"):
        place.device.check(None)
    assert not [r for r in place.server.requests if r.path.endswith("b.json")]
    unharmed()


@pytest.mark.slow
def test_as_many_paths_as_a_document_holds_are_refused_in_seconds(
    place: Place, take_over: Take, unharmed: Callable[[], None]
) -> None:
    mirror = take_over(*ROLES)
    mirror.forge()
    a_folder = '{{"entry":{{"path":"{:x}","kind":"folder"}}}}'
    changes = ",".join(map(a_folder.format, range(1_400_000)))
    text = json.dumps(read(mirror)).replace('"changes": [', f'"changes": [{changes},')
    assert 50 << 20 < len(text) < 64 << 20
    mirror.put("acme-kiosk", {names.improvement_path(*WHERE): text.encode()})
    mirror.lead_to("acme-kiosk")
    started = time.monotonic()
    with pytest.raises(InvalidRecordError, match="The layer has more than 500,000 paths"):
        place.device.check(None)
    assert time.monotonic() - started < 60
    unharmed()


def test_links_that_take_hours_to_follow_are_refused_in_seconds() -> None:
    deep = "/".join(["d"] * 1900)
    links = {f"l{n}": "/".join(["a/.."] * 900) + f"/l{n + 1}" for n in range(39)}
    links |= {f"x{n}": f"{deep}/../l0" for n in range(20_000)}
    started = time.monotonic()
    assert first_escape(links) is not None
    assert time.monotonic() - started < 30


def test_names_that_a_file_system_takes_for_one_are_never_written_over_each_other(
    tmp_path: Path,
) -> None:
    """Where case does not count, `Lib` and `lib` are one name: here they are one to begin with."""
    (tmp_path / "outside").mkdir()
    made = tmp_path / "made"
    made.write_bytes(b"evil")
    link = Entry("lib", "link", target="outside")
    folder = Entry("lib", "folder", mode=0o555)
    file = Entry("lib", "file", mode=0o444, size=4, sha256="0" * 64)
    for first, second in ((link, folder), (folder, link), (link, file), (file, folder)):
        with pytest.raises(OSError, match="exists"):
            build_tree(
                tmp_path / f"{first.kind}-{second.kind}",
                [first, second],
                TreeFiles({}, tmp_path, {"lib": "made"}),
            )
    assert list((tmp_path / "outside").iterdir()) == []
