"""What is told follows corrections, dropped fixes and what older repositories lack."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import BaselineName
from repoint.publisher.catalog.claims import Corrections
from repoint.publisher.feeds.known.facts import read_facts
from repoint.repository.repository import Repository
from tests.publisher.feeds.support import ADDRESS, Told, faults, serve_at
from tests.publisher.feeds.test_csaf import advisory, statuses
from tests.world import FIXED, OLD, Files, Vendor
from tests.world import advisory as one_fix

BASE, A, B, C = ("26.3.1 (25D2128)", *(f"26.3.1 ({letter}) (25D2128)" for letter in "abc"))


def engine(number: int) -> Files:
    return {**FIXED, "main.py": f"VERSION = '{number}'\n"}


@pytest.fixture
def world(vendor: Vendor) -> Vendor:
    serve_at(vendor, ADDRESS)
    return vendor


def test_a_corrected_cve_id_is_corrected_everywhere_and_dated(world: Vendor) -> None:
    world.release({"engine": engine(1)}, "CVE-2026-1000")
    corrections = Corrections(renamed={"CVE-2026-1000": "CVE-2026-1001"})
    source = {"engine": world.source(engine(2))}
    world.improve_from(source, one_fix("CVE-2026-2000"), corrections=corrections)
    (b,) = world.publish()
    told = Told(world)
    said = f"{b.label} corrects CVE ids: CVE-2026-1000 is CVE-2026-1001."
    for path, data in told.files().items():
        text = data.decode().replace("CVE-2026-1000 is CVE-2026-1001", "")  # the history
        assert "CVE-2026-1000" not in text, path
    tracking = advisory(told, "a")["document"]["tracking"]
    assert said in tracking["revision_history"][-1]["summary"]
    assert said in told.page("a").read_text()
    assert statuses(advisory(told, "b")) == {
        "CVE-2026-1001": {"fixed": {A, B}, "known_affected": {BASE}},
        "CVE-2026-2000": {"fixed": {B}, "known_affected": {BASE, A}},
    }


def test_a_letter_that_knowingly_lacks_a_fix_is_told_to_be_affected(world: Vendor) -> None:
    world.release({"engine": engine(1)}, "CVE-2026-1000")
    world.release({"engine": engine(2)}, "CVE-2026-2000")
    world.withdraw("b")
    world.release({"engine": engine(3)}, "CVE-2026-3000", drop=("CVE-2026-2000",))
    told = Told(world)
    document = advisory(told, "c")
    assert faults("csaf.json", document) == []
    assert statuses(document)["CVE-2026-2000"] == {"fixed": {B}, "known_affected": {BASE, A, C}}
    remedy = document["vulnerabilities"][-1]["remediations"][0]
    assert remedy["category"] == "none_available"
    assert remedy["details"] == "26.3.1 (c) knowingly lacks this fix."
    text = told.page("c").read_text()
    assert "What it does not fix" in text
    assert "CVE-2026-2000" in text
    assert "CVE-2026-2000" not in told.page("a").read_text()


def test_a_fix_without_a_cve_id_is_told_by_its_letter_and_number(world: Vendor) -> None:
    fix = Fix((), "engine", "It may stop", "The cause was removed.")
    world.release({"engine": engine(1)}, texts=Advisory("First", (fix,)))
    world.release({"engine": engine(2)}, "CVE-2026-2000")
    assert statuses(advisory(Told(world), "b"))["acme-kiosk:26.3.1:a:1"] == {
        "fixed": {A, B}, "known_affected": {BASE},
    }  # fmt: skip


def test_in_a_repository_without_dates_an_improvement_is_dated_by_its_build(
    world: Vendor, monkeypatch: pytest.MonkeyPatch
) -> None:
    improvement = world.release()
    (known,) = read_facts(world.repository).improvements
    assert known.published > improvement.created
    monkeypatch.setattr(Repository, "published", lambda *_: 0)
    (known,) = read_facts(world.repository).improvements
    assert known.published == improvement.created


def test_versions_that_file_names_cannot_tell_apart_have_advisories_of_their_own(
    tmp_path: Path,
) -> None:
    vendor = Vendor(tmp_path)
    for version in ("1.0~1", "1.0.1"):
        name = BaselineName("linux-x86_64", version, "1")
        vendor.baseline({"engine": OLD}, name=name)
        vendor.release(name=name)
    serve_at(vendor, ADDRESS)
    found = {path.name for path in Told(vendor).folder.glob("csaf/*/*.json")}
    assert len(found) == 2
    assert {re.sub(r"-[0-9a-f]{8}\.json", "", name) for name in found} == {
        "acme-kiosk-1_0_1-a-linux-x86_64"
    }


def test_without_names_the_product_stands_for_its_vendor(world: Vendor) -> None:
    world.release()
    document = advisory(Told(world), "a")["document"]
    assert document["publisher"] == {
        "category": "vendor", "name": "acme-kiosk", "namespace": "https://updates.acme.example",
    }  # fmt: skip
    assert document["title"] == "acme-kiosk 26.3.1 (a): A security update"
