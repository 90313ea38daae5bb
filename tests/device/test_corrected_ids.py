"""An id that the vendor corrects: for a device, the old and the new one are one fix."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from repoint.agent.overview.overview import read_overview
from repoint.publisher.catalog.claims import Corrections
from tests.cli.command import works
from tests.places import Place
from tests.world import FIXED, Vendor, advisory

FIRST, WRONG, RIGHT, OTHER = "CVE-2026-1000", "CVE-2026-2000", "CVE-2026-3000", "CVE-2026-4000"


def correct(vendor: Vendor, *cves: str, content: str = "c") -> None:
    """Publish a letter that renames the wrong id."""
    source = vendor.source({**FIXED, "c": content})
    corrections = Corrections(renamed={WRONG: RIGHT})
    vendor.improve_from({"engine": source}, advisory(*cves), corrections=corrections)
    vendor.publish()


@pytest.fixture
def corrected(place: Place, vendor: Vendor) -> Place:
    """A device on (b), which is withdrawn and named an id wrongly; (c) is on offer."""
    vendor.release({"engine": {**FIXED, "a": "a"}}, FIRST)
    vendor.release({"engine": {**FIXED, "b": "b"}}, WRONG)
    place.enroll()
    place.update()
    vendor.withdraw("b")
    correct(vendor, RIGHT)
    return place


def states(place: Place) -> dict[str, str]:
    return {cve.cve: cve.state for cve in place.device.status(None).cves}


def test_the_old_id_of_a_withdrawn_letter_is_fixed_by_the_one_that_corrects_it(
    corrected: Place,
) -> None:
    corrected.update()
    assert states(corrected) == {FIRST: "in force", RIGHT: "in force"}
    assert corrected.device.status(None).verdict == "protected"


def test_what_is_in_force_under_the_old_id_is_in_force_under_the_new_one(corrected: Place) -> None:
    corrected.device.check(None)
    assert states(corrected) == {FIRST: "in force", RIGHT: "in force"}
    overview = read_overview(corrected.device)
    assert overview.improvements.in_force is not None
    shown = {(fix.fix.cves, fix.state) for fix in overview.improvements.in_force.fixes}
    assert shown == {((RIGHT,), "in force"), ((FIRST,), "in force")}
    assert overview.status.available is not None
    assert overview.status.available.reopens == ()


def test_a_letter_that_is_in_force_and_offered_is_compared_by_the_new_id(
    place: Place, vendor: Vendor
) -> None:
    vendor.release({"engine": {**FIXED, "a": "a"}}, WRONG)
    place.enroll()
    place.update()
    correct(vendor, OTHER)
    place.device.check(None)
    assert states(place) == {RIGHT: "in force", OTHER: "not fixed"}


def test_a_correction_holds_after_the_letter_that_made_it_was_withdrawn(
    corrected: Place, vendor: Vendor
) -> None:
    vendor.withdraw("c")
    corrected.device.check(None)
    source = vendor.source({**FIXED, "d": "d"})
    vendor.improve_from({"engine": source}, advisory(RIGHT), corrections=Corrections((WRONG,)))
    vendor.publish()
    corrected.device.check(None)
    available = corrected.device.status(None).available
    assert available is not None and available.reopens == ()
    corrected.update()
    assert states(corrected) == {FIRST: "in force", RIGHT: "in force"}


@pytest.mark.slow
def test_every_command_names_the_new_id_only(corrected: Place, tmp_path: Path) -> None:
    corrected.update()
    store = ("--store", corrected.folder / "store")
    for words in (("status",), ("status", "--json"), ("remove", "--yes")):
        output = works(*words, *store)
        assert RIGHT in output
        assert WRONG not in output
    status = json.loads(works("status", "--json", *store))
    assert {cve["cve"]: cve["state"] for cve in status["cves"]} == {
        FIRST: "not fixed", RIGHT: "not fixed",
    }  # fmt: skip
