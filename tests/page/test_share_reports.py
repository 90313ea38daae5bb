"""Share Reports on the page: off until the owner says yes, and what is sent can be seen before."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from repoint.model.baseline import About
from tests.page.conftest import enroll
from tests.page.settings import PASSCODE, Client, set_test_passcode, settings
from tests.page.test_looks import NARROW, WIDE, opened, too_wide, violations
from tests.places import Place
from tests.serving import WebServer
from tests.world import Vendor

PICTURE = ViewportSize(width=960, height=860)
PANEL = "/product/acme-kiosk/"
FLEET = "https://fleet.acme.example"
ABOUT = About("Acme Kiosk", "Acme Displays GmbH", "https://acme.example/security", FLEET)


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Vendor:
    """A vendor that takes reports."""
    vendor = Vendor(tmp_path_factory.mktemp("vendor"))
    vendor.baseline(about=ABOUT)
    vendor.release()
    return vendor


@pytest.fixture
def kiosk(tmp_path: Path, vendor: Vendor) -> Iterator[Place]:
    server = WebServer(vendor.public)
    place = Place(tmp_path / "device", server, vendor)
    place.put()
    enroll(place)
    set_test_passcode(place.folder / "store")
    yield place
    place.stop()
    server.close()


def sharing(place: Place) -> str:
    """Return where the device sends reports; "" if nowhere."""
    return place.device.reports.reporting(None).address


@pytest.mark.slow
def test_the_owner_sees_what_would_be_sent_turns_it_on_and_off_again(
    chromium: Browser, kiosk: Place, pictures: Callable[[str], Path]
) -> None:
    with settings(kiosk.folder / "store") as served, opened(chromium, served) as panel:
        panel.page.set_viewport_size(PICTURE)
        group = panel.group("Share Reports")
        switch = group.get_by_role("switch")
        expect(group).to_contain_text("Nothing about this device is sent to anyone.")
        expect(switch).not_to_be_checked()
        group.get_by_role("link", name="See what would be sent").click()
        (report,) = json.loads(panel.page.locator("pre").inner_text())
        assert report["kind"] == "count"
        panel.page.get_by_role("link", name="Back", exact=True).click()
        assert not (kiosk.product.path / "reports").exists()

        switch.click()
        expect(panel.sheet).to_contain_text("fleet.acme.example")
        expect(panel.sheet).to_contain_text("Reports name no person, no file and no device")
        panel.page.screenshot(path=pictures("reports"), animations="disabled")
        panel.give()
        panel.press("Turn On")
        panel.done()
        expect(group).to_contain_text("This device tells fleet.acme.example")
        expect(switch).to_be_checked()
        assert sharing(kiosk) == FLEET

        switch.click()
        panel.give()
        panel.press("Turn Off")
        panel.done()
        expect(switch).not_to_be_checked()
        assert sharing(kiosk) == ""


def test_a_vendor_that_takes_no_reports_is_not_offered_any(
    chromium: Browser, own_vendor_place: Place
) -> None:
    enroll(own_vendor_place)
    with settings(own_vendor_place.folder / "store") as served, opened(chromium, served) as panel:
        expect(panel.group("Automatically Install")).to_be_visible()
        expect(panel.page.get_by_text("Share Reports")).to_have_count(0)


@pytest.mark.slow
def test_what_the_policy_decides_is_locked_and_cannot_be_bypassed(kiosk: Place) -> None:
    folder = kiosk.folder / "policy.d"
    folder.mkdir()
    (folder / "10-fleet.toml").write_text('reports = "https://other.example"\n')
    with settings(kiosk.folder / "store", policy=folder) as served:
        client = Client.entered(served)
        _, page = client.send("GET", PANEL)
        assert "This device tells" in page
        assert "other.example" in page
        assert f"Locked by {folder / '10-fleet.toml'}" in page
        form = {"token": client.token(PANEL), "passcode": PASSCODE, "to": "off"}
        refused, _ = client.send("POST", f"{PANEL}reports", {**form, "address": FLEET})
        assert refused.status == 403


@pytest.mark.one_quick
@pytest.mark.parametrize(
    "wrong",
    [
        {"passcode": "a wrong passcode"},
        {"address": "https://thief.example"},
        {"to": "perhaps"},
        {"token": "forged"},
    ],
)
def test_nothing_but_the_sheet_that_was_shown_turns_it_on(
    kiosk: Place, wrong: dict[str, str]
) -> None:
    with settings(kiosk.folder / "store") as served:
        client = Client.entered(served)
        form = {"token": client.token(PANEL), "passcode": PASSCODE, "to": "on", "address": FLEET}
        client.send("POST", f"{PANEL}reports", {**form, **wrong})
        assert sharing(kiosk) == ""
        answer, _ = client.send("POST", f"{PANEL}reports", form)
        assert answer.status in (303, 429)  # a wrong passcode makes the next one wait


def test_what_is_shown_is_what_would_be_sent(kiosk: Place) -> None:
    kiosk.device.reports.turn_on(None, FLEET)
    expected = kiosk.device.reports.preview(None, kiosk.device.status(None))
    with settings(kiosk.folder / "store") as served:
        _, page = Client.entered(served).send("GET", f"{PANEL}sent")
    shown = page.partition("<pre")[2].partition(">")[2].partition("</pre>")[0]
    decoded = json.loads(shown.replace("&#34;", '"'))
    assert decoded == json.loads(msgspec.json.encode(expected))
    assert f"{FLEET}/v1/reports" in page


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en-US", "de-DE"])
def test_it_is_usable_light_and_dark_narrow_and_wide(
    chromium: Browser, kiosk: Place, tmp_path: Path, language: str
) -> None:
    problems: dict[str, list[str]] = {}
    with (
        settings(kiosk.folder / "store") as served,
        opened(chromium, served, locale=language) as panel,
    ):

        def look(state: str) -> None:
            for scheme in ("light", "dark"):
                for size in (NARROW, WIDE):
                    panel.page.emulate_media(color_scheme=scheme)
                    panel.page.set_viewport_size(size)
                    found = violations(panel.page)
                    if too_wide(panel.page):
                        found.append("the page scrolls sideways")
                    if found:
                        problems[f"{state}, {scheme}, {size['width']}"] = found
                    name = f"{state}-{language[:2]}-{scheme}-{size['width']}.png"
                    panel.page.screenshot(path=tmp_path / name, full_page=True)

        look("reports-panel")
        panel.page.locator("form[action=reports] button").click()
        expect(panel.sheet).to_be_visible()
        look("reports-sheet")
        panel.page.goto(panel.page.url.rstrip("/").removesuffix("/reports") + "/sent")
        look("reports-sent")
    assert problems == {}
