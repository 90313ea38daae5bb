"""What people read about their products: all of them, what a removal opens, what a withdrawal means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from repoint.agent.notifications import notification_for
from repoint.agent.overview.overview import read_overview
from repoint.model.baseline import About
from tests.cli.command import refusal, repoint, works
from tests.cli.test_terminal import Terminal
from tests.places import Place
from tests.serving import WebServer
from tests.world import FIXED, NAME, PLATFORM, Vendor

X, Y = "CVE-2026-1000", "CVE-2026-2000"


@pytest.fixture
def lamp(tmp_path: Path) -> Iterator[Place]:
    """A second product of another vendor, in the same store; it has a name for people."""
    vendor = Vendor(tmp_path / "lamp-vendor", product="lamp")
    about = About("Acme Lamp", "Acme", "https://acme.example/security",
                  support="help@acme.example", components={"engine": "Light"})  # fmt: skip
    vendor.baseline(name=NAME, about=about)
    server = WebServer(vendor.public)
    made = Lamp(tmp_path / "device", server, vendor)
    made.put()
    yield made
    server.close()


class Lamp(Place):
    """The second product, beside the first."""

    @property
    def graft(self) -> Path:
        return self.folder / "lamp/engine"


@pytest.mark.slow
def test_status_and_check_cover_all_products(place: Place, lamp: Place) -> None:
    place.enroll()
    lamp.enroll()
    store = place.folder / "store"
    lamp.vendor.release(None, X)
    output = works("check", "--store", store)
    assert "acme-kiosk 26.3.1 is up to date." in output
    assert "Available for Acme Lamp: 26.3.1 (a)" in output
    output = works("status", "--store", store)
    first, second = output.split("\n\n")
    assert first.startswith("acme-kiosk\nProtected")
    assert second.startswith(f"Acme Lamp\nNot protected: {X} is not fixed here.")
    assert "product    Acme Lamp (lamp) 26.3.1 (25D2128)" in second
    assert "  help       help@acme.example\n" in second
    assert f"{X} in Light (engine): not fixed" in second
    assert "vendor     Acme, https://acme.example/security" in second
    assert "published 20" in second and "next check " in second
    reports = json.loads(works("status", "--json", "--store", store))
    assert [report["product"] for report in reports] == ["acme-kiosk", "lamp"]
    assert json.loads(works("status", "--json", "-p", "lamp", "--store", store)) == reports[1]
    checks = json.loads(works("check", "--json", "--store", store))
    assert [each["product"] for each in checks] == ["acme-kiosk", "lamp"]


@pytest.mark.slow
def test_install_and_restart_cover_all_products(place: Place, lamp: Place) -> None:
    place.enroll()
    lamp.enroll()
    store = place.folder / "store"
    lamp.vendor.release(None, X)
    works("check", "--store", store)
    records = json.loads(works("install", "--json", "--store", store))
    assert [(each["product"], each["label"]) for each in records] == [
        ("acme-kiosk", ""),
        ("lamp", "26.3.1 (a)"),
    ]
    (restarted,) = json.loads(works("restart", "--json", "--store", store))
    assert (restarted["product"], restarted["generation"]["letter"]) == ("lamp", "a")
    assert "new" in lamp.text()
    output = works("install", "--store", store)
    assert output.startswith("acme-kiosk:\nacme-kiosk 26.3.1 is up to date.\nAcme Lamp:\n")
    refusal(repoint("restart", "--store", store), "Nothing waits for a restart")


@pytest.mark.parametrize("command", ["remove", "unenroll", "history"])
def test_what_takes_something_away_names_one_product(
    place: Place, lamp: Place, command: str
) -> None:
    place.enroll()
    lamp.enroll()
    answer = repoint(command, "--store", place.folder / "store")
    refusal(answer, "Several products are enrolled", "--product: acme-kiosk, lamp")


def test_after_the_enrolment_it_is_known_what_is_offered(
    place: Place, vendor: Vendor, tmp_path: Path
) -> None:
    vendor.release(None, X)
    (tmp_path / "root.json").write_bytes(vendor.root)
    options = ("--product", vendor.product, "--root", tmp_path / "root.json")
    graft = ("--graft", f"engine={place.graft}", "--platform", PLATFORM)
    works("enroll", place.server.url, *options, *graft, "--store", place.folder / "store")
    output = works("status", "--store", place.folder / "store")
    assert output.startswith(f"Not protected: {X} is not fixed here.")
    assert "available  26.3.1 (a)" in output and "last check 20" in output


def test_one_products_trouble_does_not_hide_the_other(place: Place, lamp: Place) -> None:
    place.enroll()
    lamp.enroll()
    store = place.folder / "store"
    place.server.close()
    answer = repoint("check", "--store", store)
    assert answer.status == 1
    assert answer.out.startswith("lamp 26.3.1 is up to date.")
    assert answer.err.startswith("repoint: acme-kiosk: ") and answer.err.count("\n") == 1


@pytest.mark.slow
def test_a_hint_names_the_product_if_several_are_enrolled(place: Place, lamp: Place) -> None:
    place.enroll()
    lamp.vendor.release(None, X)
    lamp.enroll()
    lamp.device.check("lamp")
    store = place.folder / "store"
    works("install", "-p", "lamp", "--store", store)
    answer = works("install", "-p", "lamp", "--store", store)
    assert "`repoint restart --product lamp` brings it into force" in answer
    works("remove", "--yes", "-p", "lamp", "--store", store)
    answer = works("install", "--automatic", "-p", "lamp", "--store", store)
    assert "Run `repoint install --product lamp` to have it back" in answer


@pytest.mark.slow
def test_a_removal_names_only_what_the_letter_fixed(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release({"engine": {**FIXED, "a": "a"}}, X)
    place.update()
    vendor.release({"engine": {**FIXED, "b": "b"}}, Y)
    place.device.check(None)
    terminal = Terminal(place, "remove")
    terminal.read_until("[y/N]")
    terminal.answer("n\n")
    status, output = terminal.finish()
    assert (status, place.device.status(None).in_force) == (1, "26.3.1 (a)")
    assert f"{X} in engine" in output and Y not in output
    output = works("remove", "--store", place.folder / "store")
    assert f"This device is exposed to {X} again." in output and Y not in output


def test_a_removal_of_what_was_only_staged_opens_nothing_again(
    place: Place, vendor: Vendor
) -> None:
    place.enroll()
    vendor.release(None, X)
    place.device.check(None)
    place.device.install(None, user_initiated=True)
    output = works("remove", "--yes", "--store", place.folder / "store")
    assert output.startswith("Removed 26.3.1 (a); 26.3.1 is active.") and "again" not in output


@pytest.mark.one_quick
@pytest.mark.parametrize("reason", ["x" * 100_000, "a\x1b[2Jb", "a\nb"])
def test_a_reason_that_nobody_can_read_changes_nothing(
    place: Place, vendor: Vendor, reason: str
) -> None:
    place.enroll()
    vendor.release(None, X)
    place.update()
    store = place.folder / "store"
    refusal(repoint("remove", "--reason", reason, "--store", store), "The reason ")
    assert place.device.status(None).in_force == "26.3.1 (a)"


def test_after_a_withdrawal_nobody_is_up_to_date(place: Place, vendor: Vendor) -> None:
    place.enroll()
    vendor.release(None, X)
    vendor.withdraw("a", "it crashes")
    store = place.folder / "store"
    output = works("check", "--store", store)
    assert "up to date" not in output
    assert "(26.3.1 (a): the vendor has withdrawn it: it crashes)" in output
    output = works("status", "--store", store)
    assert f"{X} in engine: not fixed (26.3.1 (a)), and the vendor has withdrawn it" in output
    assert "wait for the next one, or ask the vendor" in output


def test_after_a_failed_check_nobody_is_up_to_date(place: Place) -> None:
    place.enroll()
    store = place.folder / "store"
    works("check", "--store", store)
    place.server.close()
    assert repoint("check", "--store", store).status == 1
    refusal(repoint("install", "--store", store), "because the last check failed")


def test_a_notification_names_the_product_as_people_know_it(lamp: Place) -> None:
    lamp.enroll()
    lamp.vendor.release(None, X)
    lamp.vendor.withdraw("a")
    lamp.vendor.release({"engine": {**FIXED, "b": "b"}}, Y, drop=(X,))
    lamp.device.check(None)
    notification = notification_for(read_overview(lamp.device))
    assert notification is not None
    assert notification.title.startswith("A security improvement for Acme Lamp is available")
    # (b) does not fix what the withdrawn letter fixed.
    assert any(Y in line for line in notification.lines)
    assert not any(X in line for line in notification.lines)
