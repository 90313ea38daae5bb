"""What people read about fixes: one name for a component everywhere, and whole sentences."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from repoint.agent.overview.descriptions import name_component, name_fixes
from repoint.device.status.fixes import NO_CVE
from repoint.model.baseline import About
from tests.cli.command import works
from tests.cli.test_terminal import Terminal
from tests.places import MAPS_A_LIBRARY, Place
from tests.serving import WebServer
from tests.world import FIXED, Vendor

X, Y, Z = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"
NAMED = About(components={"engine": "Picture engine"})


@pytest.mark.parametrize(
    ("cves", "text"),
    [
        ([], ""), ([X], X), ([X, X], X), ([X, Y], f"{X} and {Y}"),
        ([X, NO_CVE], f"{X} and a fault without a CVE id"), ([X, Y, Z], f"{X}, {Y} and {Z}"),
        ([X, Y, Z, NO_CVE, "CVE-2026-4000"], f"{X}, {Y}, {Z} and 2 more"),
    ],
)  # fmt: skip
def test_several_fixes_are_a_list_with_and(cves: list[str], text: str) -> None:
    assert name_fixes(cves, most=3) == text


def test_a_component_has_the_name_for_people_with_the_one_of_the_commands() -> None:
    assert name_component(NAMED, "engine, shell") == "Picture engine (engine), shell"


@pytest.mark.slow
def test_status_check_and_remove_name_a_component_alike(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path / "vendor")
    vendor.baseline(about=NAMED)
    with contextlib.closing(WebServer(vendor.public)) as server:
        place = Place(tmp_path / "device", server, vendor)
        place.put()
        place.enroll()
        vendor.release({"engine": {**FIXED, "a": "a"}}, X)
        place.update()
        vendor.withdraw("a", "bad")
        store = ("--store", place.folder / "store")
        assert "26.3.1 (a), in force here, was withdrawn: bad. A later" in works("check", *store)
        assert f"{X} in Picture engine (engine)" in works("status", *store)
        vendor.release({"engine": {**FIXED, "b": "b"}}, Y, drop=(X,))
        assert f"automatically: {X} in Picture engine (engine)." in works("check", *store)
        assert f"lacks    ! {X} in Picture engine (engine), fixed" in works("status", *store)
        terminal = Terminal(place, "remove")
        terminal.read_until("[y/N]")
        terminal.answer("n\n")
        assert f"{X} in Picture engine (engine): " in terminal.finish()[1]


@pytest.mark.slow
def test_what_comes_into_force_is_told_apart_from_what_is_in_force(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    place.run(MAPS_A_LIBRARY, launched=False)
    vendor.release()
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    output = works("status", "--store", place.folder / "store")
    assert "             comes into force " in output
    assert "             in force " not in output
