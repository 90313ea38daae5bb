"""All documents of a baseline say the same of a fix, whatever happened to the letters since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.publisher.catalog.catalogs import Selection
from repoint.publisher.catalog.claims import Corrections
from tests.publisher.feeds.support import ADDRESS, Told, faults, serve_at
from tests.publisher.feeds.test_csaf import advisory, statuses
from tests.publisher.feeds.test_osv import record
from tests.publisher.feeds.test_pages import text_of
from tests.world import FIXED, OLD, Files, Vendor
from tests.world import advisory as one_fix

BASE, A, B, C, D = ("26.3.1 (25D2128)", *(f"26.3.1 ({letter}) (25D2128)" for letter in "abcd"))
X, Y, Z = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000"
SHELL = Fix((), "engine", "A local user may read keys", "The shell was mended.")
CLOCK = Fix((), "engine", "The clock may stop", "The clock was mended.")


def engine(number: int) -> dict[str, Files]:
    return {"engine": {**FIXED, "main.py": f"VERSION = '{number}'\n"}}


def of(*fixes: Fix) -> Advisory:
    return Advisory("An update", fixes)


def remedies(told: Told, letter: str, name: str) -> list[tuple[str, str]]:
    (found,) = (e for e in advisory(told, letter)["vulnerabilities"] if e.get("cve") == name)
    return [(each["category"], each["details"]) for each in found["remediations"]]


def retract(world: Vendor, files: dict[str, Files], texts: Advisory, name: str) -> None:
    sources = {component: world.source(tree) for component, tree in files.items()}
    world.improve_from(sources, texts, corrections=Corrections(retracted=(name,)))
    world.publish()


def revisions(told: Told, letter: str) -> list[str]:
    tracking: Any = advisory(told, letter)["document"]["tracking"]
    return [each["summary"] for each in tracking["revision_history"]]


@pytest.fixture
def world(vendor: Vendor) -> Vendor:
    serve_at(vendor, ADDRESS)
    return vendor


@pytest.mark.parametrize("stop", ["withdraw", "pause", "halt"])
def test_the_remedy_is_the_latest_letter_on_offer_that_fixes_it(world: Vendor, stop: str) -> None:
    world.release(engine(1), X)
    world.release(engine(2), Y)
    rollouts, b = world.publisher.rollouts, Selection(world.product, "26.3.1 (b)")
    match stop:
        case "withdraw":
            world.withdraw("b")
        case "pause":
            rollouts.pause(b)
        case _:
            rollouts.halt(b, reason="it crashes")
    for letter in "ab":
        assert remedies(Told(world), letter, X) == [("vendor_fix", "Install 26.3.1 (a).")]
    ((category, details),) = remedies(Told(world), "b", Y)
    assert category == "none_available"
    assert "26.3.1 (b)" in details
    world.release(engine(3), Z, Y)
    told = Told(world)
    for letter, name in (("a", X), ("b", X), ("b", Y), ("c", X), ("c", Y), ("c", Z)):
        assert remedies(told, letter, name) == [("vendor_fix", "Install 26.3.1 (c).")]
    assert revisions(told, "a")[-1] == "26.3.1 (c): Published."


def test_a_letter_that_dropped_a_fix_is_not_told_to_go_back(world: Vendor) -> None:
    world.release(engine(1), X)
    world.release(engine(2), Y)
    world.withdraw("b")
    world.release(engine(3), Z, drop=(Y,))
    world.release(engine(4), Y)
    assert remedies(Told(world), "c", Y) == [("vendor_fix", "Install 26.3.1 (d).")]


def test_a_fix_that_a_later_letter_repeats_is_one_fix(world: Vendor) -> None:
    world.release(engine(1), X)
    world.release(engine(2), texts=of(CLOCK, SHELL))
    world.withdraw("b")
    world.release(engine(3), texts=of(SHELL, Fix((Z,), "engine", "Other", "Mended."), CLOCK))
    told = Told(world)
    found = statuses(advisory(told, "c"))
    fixed = {"fixed": {B, C}, "known_affected": {BASE, A}}
    assert found["acme-kiosk:26.3.1:b:2"] == found["acme-kiosk:26.3.1:b:1"] == fixed
    assert found.keys() == {X, Z, "acme-kiosk:26.3.1:b:1", "acme-kiosk:26.3.1:b:2"}
    assert record(told, "c")["affected"][0]["versions"] == [BASE, A, B]  # (b) lacks the other one


def test_a_fix_is_shown_once_although_two_letters_tell_of_it(world: Vendor) -> None:
    world.release(engine(1), texts=of(SHELL, CLOCK))
    world.release(engine(2), texts=of(SHELL, Fix((Z,), "engine", "Other", "Mended.")))
    text = text_of(Told(world).page("b"))
    assert text.count(SHELL.impact) == text.count(CLOCK.impact) == 1
    assert text.index(SHELL.impact) < text.index("Also fixed") < text.index(CLOCK.impact)


def test_a_cve_id_that_comes_later_is_that_of_the_same_fix_everywhere(world: Vendor) -> None:
    world.release(engine(1), texts=of(SHELL))
    world.release(engine(2), texts=of(Fix((Y,), SHELL.component, SHELL.impact, SHELL.description)))
    told = Told(world)
    assert statuses(advisory(told, "a")) == {Y: {"fixed": {A}, "known_affected": {BASE}}}
    assert statuses(advisory(told, "b")) == {Y: {"fixed": {A, B}, "known_affected": {BASE}}}
    assert record(told, "a")["upstream"] == [Y]


def test_a_dropped_fix_shifts_no_number_of_another(world: Vendor) -> None:
    world.release(engine(1), texts=of(CLOCK, SHELL))
    retract(world, engine(2), one_fix(X), "a:1")
    world.release(engine(3), Y)
    told = Told(world)
    for letter in "bc":
        found = statuses(advisory(told, letter))
        assert A in found["acme-kiosk:26.3.1:a:2"]["fixed"]
        assert found["acme-kiosk:26.3.1:a:1"].keys() == {"known_affected"}


def test_an_id_that_was_never_fixed_is_told_to_be_fixed_by_no_letter(tmp_path: Path) -> None:
    world = Vendor(tmp_path)
    world.baseline({"engine": OLD, "shell": {"bin/kiosk": "#!/bin/sh\n"}})
    serve_at(world, ADDRESS)
    world.release(engine(1), Y)
    world.release(engine(2), X)
    world.release(engine(3), Z)
    source: dict[str, Files] = {**engine(3), "shell": {"bin/kiosk": "#!/bin/sh -e\n"}}
    shell = of(Fix((), "shell", "The shell may be left", "The lock was mended."))
    retract(world, source, shell, X)
    told = Told(world)
    assert statuses(advisory(told, "d"))[X] == {"known_affected": {BASE, A, B, C, D}}
    assert statuses(advisory(told, "c"))[X] == {"known_affected": {BASE, A, B, C}}
    assert statuses(advisory(told, "b"))[X] == {"known_affected": {BASE, A, B}}
    assert statuses(advisory(told, "b"))[Y] == {"fixed": {A, B}, "known_affected": {BASE}}
    for letter in "bcd":
        assert faults("csaf.json", advisory(told, letter)) == []
        assert remedies(told, letter, X) == [
            ("none_available", "No improvement fixes it. It was said in error that one does.")
        ]
    said = "26.3.1 (d) says that CVE-2026-1000 is not fixed."
    assert revisions(told, "b")[-1] == f"{said} 26.3.1 (d): Published."
    b = record(told, "b")
    assert faults("osv.json", b) == []
    assert b["affected"][0]["versions"] == [BASE, A, B, C, D]
    assert b["affected"][0]["database_specific"]["fixed_in"]["not_fixed"] == [X]
    page = text_of(told.page("b"))
    assert "What it fixes" not in page
    assert "What it does not fix" in page
    assert "It was said in error that an improvement fixes it" in page
    product = told.json("versions.json")["signed"]["products"][0]
    letters = product["baselines"][0]["improvements"]
    assert [each["cves"] for each in letters] == [[Y], [Y], [Y, Z], [Y, Z]]


def test_a_letter_with_the_same_tree_takes_back_what_it_drops(world: Vendor) -> None:
    world.release(engine(1), X)
    world.withdraw("a")
    world.release(engine(1), Y, drop=(X,))
    assert statuses(advisory(Told(world), "a"))[X] == {"known_affected": {BASE, A}}
    assert statuses(advisory(Told(world), "b"))[X] == {"known_affected": {BASE, A, B}}
    world.release(engine(2), X)
    told = Told(world)
    assert statuses(advisory(told, "c"))[X] == {"fixed": {C}, "known_affected": {BASE, A, B}}
    for letter in "abc":
        assert remedies(told, letter, X) == [("vendor_fix", "Install 26.3.1 (c).")]
