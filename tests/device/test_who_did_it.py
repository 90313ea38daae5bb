"""The history says who caused a change."""

from __future__ import annotations

import random
import time

import msgspec
import pytest

from repoint.agent.overview.overview import read_overview
from repoint.agent.update_run import Agent
from repoint.device.store.records import Actor, HistoryEntry
from repoint.host.conditions import Conditions
from repoint.model.baseline import About, BaselineName
from tests.places import Place
from tests.world import FIXED, PLATFORM, Vendor

KAI = Actor("person", "kai")


def who(place: Place) -> list[tuple[str, str, str]]:
    return [(e.event, e.by, e.account) for e in place.device.history(None)]


def test_a_person_is_named_and_what_the_device_decides_is_automatic(
    place: Place, vendor: Vendor
) -> None:
    vendor.release({"engine": FIXED})
    place.put()
    place.enroll()
    device = place.device.acting(KAI)
    device.check(None)
    device.install(None, user_initiated=True)
    device.restart(None)
    device.remove(None, why="it is slow")
    assert who(place) == [
        ("enrolled", "", ""),  # by a program that did not say who it acts for
        ("staged", "person", "kai"),
        ("activated", "person", "kai"),
        ("confirmed", "automatic", ""),
        ("removed", "person", "kai"),
        ("activated", "person", "kai"),
    ]


@pytest.mark.slow
def test_a_background_update_is_automatic(place: Place, vendor: Vendor) -> None:
    vendor.release({"engine": FIXED})
    place.put()
    place.enroll()
    agent = Agent(place.device, time.time, random.Random(4), lambda store: Conditions())
    list(agent.run())
    assert {by for event, by, _ in who(place) if event in ("staged", "activated")} == {"automatic"}


def test_what_was_interrupted_names_nobody_wrongly(place: Place, vendor: Vendor) -> None:
    vendor.release({"engine": FIXED})
    place.put()
    place.enroll()
    place.device.check(None)
    place.device.acting(KAI).install(None, user_initiated=True)
    history = place.product.path / "history.jsonl"
    history.write_bytes(b"".join(history.read_bytes().splitlines(keepends=True)[:-1]))
    place.device.acting(Actor("automatic")).recover()
    assert who(place)[-1] == ("staged", "", "")


def test_a_history_from_before_still_reads() -> None:
    old = b'{"when":1,"event":"staged","label":"1 (a)","why":"x"}'
    assert msgspec.json.decode(old, type=HistoryEntry) == HistoryEntry(1, "staged", "1 (a)", "x")


def test_the_vendor_names_the_product_for_people(place: Place, vendor: Vendor) -> None:
    about = About("Acme Kiosk", "Acme", "https://acme.example/security")
    name = BaselineName(PLATFORM, "26.3.2", "25D2140")
    vendor.baseline({"engine": FIXED}, name=name, about=about)
    place.put(FIXED)
    place.enroll()
    assert read_overview(place.device).about == about
