"""One label for several baselines, and each device finds its own."""

from __future__ import annotations

from repoint.device.update.enrolment.enroll import GraftRequest
from repoint.device.update.enrolment.recognize import BaselineFilter
from repoint.model.baseline import BaselineName
from tests.places import Place
from tests.world import OLD, PLATFORM, Vendor, write_tree

ARM = BaselineName("linux-aarch64", "26.3.1", "25D2128")
NEXT = BaselineName(PLATFORM, "26.3.2", "25D3000")


def test_letters_of_several_platforms_and_versions_stand_side_by_side(
    place: Place, vendor: Vendor
) -> None:
    on_arm, later = {**OLD, "main.py": "for arm\n"}, {**OLD, "main.py": "26.3.2\n"}
    vendor.baseline({"engine": on_arm}, name=ARM)
    vendor.baseline({"engine": later}, name=NEXT)
    vendor.improve({"engine": {**OLD, "main.py": "fixed\n"}})
    vendor.improve({"engine": {**on_arm, "main.py": "fixed for arm\n"}}, name=ARM)
    vendor.improve({"engine": {**later, "main.py": "fixed 26.3.2\n"}}, name=NEXT)
    published = [(i.label, i.baseline.platform) for i in vendor.publish()]
    assert sorted(published) == [
        ("26.3.1 (a)", "linux-aarch64"),
        ("26.3.1 (a)", "linux-x86_64"),
        ("26.3.2 (a)", "linux-x86_64"),
    ]
    for files, platform, expected in (
        (OLD, PLATFORM, "fixed\n"),
        (on_arm, "linux-aarch64", "fixed for arm\n"),
        (later, PLATFORM, "fixed 26.3.2\n"),
    ):
        own = Place(place.folder / expected.strip().replace(" ", "-"), place.server, vendor)
        write_tree(own.graft, files)
        grafts = {"engine": GraftRequest(own.graft)}
        own.device.enroll(
            vendor.product, place.server.url, vendor.root, grafts, BaselineFilter(platform=platform)
        )
        own.update()
        assert own.text() == expected


def test_several_components_are_switched_at_once_and_kept_from_letter_to_letter(
    place: Place, vendor: Vendor
) -> None:
    two = BaselineName(PLATFORM, "27.0", "27A1")
    vendor.baseline({"engine": OLD, "codec": {"codec.so": "old"}}, name=two)
    write_tree(place.folder / "app/codec", {"codec.so": "old"})
    place.device.enroll(
        vendor.product, place.server.url, vendor.root,
        {
            "engine": GraftRequest(place.graft),
            "codec": GraftRequest(place.folder / "app/codec"),
        },
        BaselineFilter(platform=PLATFORM, version="27.0"),
    )  # fmt: skip
    vendor.release({"codec": {"codec.so": "fixed codec"}}, "CVE-2023-0001", name=two)
    vendor.release({"engine": {**OLD, "main.py": "fixed\n"}}, "CVE-2023-0002", name=two)
    place.update()
    assert place.text() == "fixed\n"
    assert (place.folder / "app/codec/codec.so").read_text() == "fixed codec"
    status = place.device.status(None)
    assert status.in_force == "27.0 (b)"
    assert {c.cve: c.state for c in status.cves} == {
        "CVE-2023-0001": "in force",
        "CVE-2023-0002": "in force",
    }
    place.device.remove(None, why="")
    assert (place.folder / "app/codec/codec.so").read_text() == "old"
