"""Strangers make up letters and rings, and those of the vendor are taken all the same."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from repoint.fleet.advisories.source import Advisories
from repoint.fleet.records import LetterName
from repoint.fleet.stores.codes import letter_text
from repoint.fleet.stores.names import other_letters
from repoint.fleet.stores.new_names import (
    MAX_OF_PRODUCT,
    MAX_UNSIGNED,
    MAX_UNSIGNED_RINGS,
)
from repoint.fleet.stores.opening import open_state
from repoint.model.report import MAX_BATCH, Report
from repoint.publisher.rollout.plan import parse_ramp
from tests.fleet.collector import Answer, CollectorProcess
from tests.fleet.reports import BASELINE, PRODUCT, count, event, new_id
from tests.world import Vendor


def send_all(collector: CollectorProcess, reports: list[Report]) -> Counter[int]:
    return Counter(
        collector.send(reports[start : start + MAX_BATCH]).status
        for start in range(0, len(reports), MAX_BATCH)
    )


def made_up_letters(number: int) -> list[Report]:
    return [event("staged", new_id(), letter_text(700 + n)) for n in range(number)]


def letter(text: str) -> LetterName:
    return LetterName(PRODUCT, BASELINE.platform, BASELINE.version, BASELINE.build, text)


@pytest.fixture
def vendor(tmp_path: Path) -> Vendor:
    made = Vendor(tmp_path / "vendor")
    made.baseline()
    made.improve(None, "CVE-2023-4863")
    steps = parse_ramp("1% 100% over 2d", rings=("early",))
    made.publisher.publish(PRODUCT, steps=steps)
    return made


def test_the_signed_documents_name_baselines_letters_and_rings(vendor: Vendor) -> None:
    advisories = Advisories(str(vendor.public))
    assert advisories.signed() is None
    advisories.read()
    signed = advisories.signed()
    assert signed is not None
    assert signed.letters == {letter(""), letter("a")}
    assert (set(signed.products), set(signed.rings)) == ({PRODUCT}, {"early"})


def test_forged_letters_and_rings_take_no_room_of_those_that_are_signed(
    tmp_path: Path, vendor: Vendor
) -> None:
    database = f"sqlite:///{tmp_path}/fleet.db"
    collector = CollectorProcess(
        database, "--limit", "0", "--repository", str(vendor.public.parent)
    )
    deadline = time.monotonic() + 20
    while collector.send([count(product="unknown")]).status != 400:
        assert time.monotonic() < deadline, "the repository is not read"
        time.sleep(0.05)
    forged = made_up_letters(600)
    forged += [event("staged", new_id(), "a", ring=f"r{n}") for n in range(1100)]
    assert send_all(collector, forged).keys() == {202}
    own = event("staged", new_id(), "a", ring="early")
    assert collector.send([own]).status == 202
    assert collector.stop() == 0
    assert collector.lines == []
    state = open_state(database)
    outcomes = {(one.letter, one.ring): one.staged for one in state.outcomes(PRODUCT)}
    state.close()
    assert outcomes[(letter("a"), "early")] == 1
    assert outcomes[(other_letters(PRODUCT), "")] == 600 - MAX_UNSIGNED
    assert outcomes[(letter("a"), "")] == 1100 - MAX_UNSIGNED_RINGS


@pytest.fixture
def full(tmp_path: Path) -> Iterator[CollectorProcess]:
    """A collector without a repository whose room for letters is taken."""
    collector = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db", "--limit", "0")
    collector.send([count("a")])
    assert send_all(collector, made_up_letters(MAX_OF_PRODUCT - 1)).keys() == {202}
    yield collector
    collector.stop()


def test_a_letter_without_room_is_asked_for_again_later_and_said_once(
    full: CollectorProcess,
) -> None:
    answers: list[Answer] = [full.send([event("staged", new_id(), "b")]) for _ in range(5)]
    assert {answer.status for answer in answers} == {503}
    assert {answer.headers["retry-after"] for answer in answers} == {"3600"}
    assert full.send([event("staged", new_id(), "a")]).status == 202, "what is known goes on"
    assert full.send([count("b", product="other")]).status == 202, "other products have room"
    assert full.stop() == 0
    assert len(full.lines) == 1
    assert "--repository" in full.lines[0]


def test_one_address_brings_in_a_hundred_made_up_names_an_hour(tmp_path: Path) -> None:
    collector = CollectorProcess(f"sqlite:///{tmp_path}/fleet.db")
    assert collector.send([count("a")]).status == 202
    assert collector.send(made_up_letters(90)).status == 202
    refused = collector.send(made_up_letters(120))
    assert refused.status == 429
    assert 0 < int(refused.headers["retry-after"]) <= 1200
    assert collector.send([count("a")]).status == 202
    elsewhere = collector.request(
        "POST",
        msgspec.json.encode([event("staged", new_id(), "b")]),
        {"X-Forwarded-For": "198.51.100.7"},
    )
    assert elsewhere.status == 202
    collector.stop()
