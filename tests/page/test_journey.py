"""A person takes a device from exposed to protected and back, in the real browser, with the real
server, a real repository, and a real program with a real vulnerability."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.page.browsing import foreign_requests
from tests.page.conftest import enroll
from tests.page.kiosk import Kiosk
from tests.page.panel import Panel
from tests.page.settings import Settings, settings
from tests.places import Place
from tests.world import FIXED, big

Pictures = Callable[[str], Path]


@pytest.mark.slow  # builds the patch of a real program
@pytest.mark.parametrize("javascript", [True, False], ids=["with javascript", "without javascript"])
def test_a_person_installs_restarts_and_removes(
    chromium: Browser, viewer_kiosk: Kiosk, pictures: Pictures, javascript: bool
) -> None:
    kiosk = viewer_kiosk
    pid, version = kiosk.demo.viewer()
    assert version == "1.3.1"
    context = chromium.new_context(
        java_script_enabled=javascript, locale="en-US", viewport={"width": 960, "height": 860}
    )
    with settings(kiosk.store) as served, context:
        page = context.new_page()
        requests = foreign_requests(page)
        panel = Panel(page)

        def picture(name: str) -> None:
            if javascript:
                page.wait_for_timeout(300)  # until animations end
                page.screenshot(path=pictures(name), animations="disabled")

        page.goto(served.link())
        panel.verdict("acme-kiosk is not protected")
        available = panel.group("Available")
        expect(available).to_contain_text("Security update for image decoding")
        expect(available).to_contain_text("26.3.1 (a)")
        expect(available).to_contain_text(re.compile(r"2\d\d\skB to download"))
        expect(available).to_contain_text("Urgent: attacks have been reported")
        expect(available).to_contain_text("Opening a malicious picture may run an attacker's code")
        expect(available).to_contain_text("It will be installed automatically within a few hours")
        link = available.get_by_role("link", name="CVE-2023-4863")
        expect(link).to_have_attribute("href", "https://www.cve.org/CVERecord?id=CVE-2023-4863")
        picture("available")
        if javascript:
            _picture_variants(chromium, served, pictures)

        _switch_off_and_on(panel)

        panel.open("Install")
        panel.give("not the passcode")
        panel.press("Install")
        expect(panel.sheet.get_by_role("alert")).to_have_text("The passcode is incorrect.")
        picture("wrong")
        panel.give()
        kiosk.hold_download()
        panel.press("Install")
        panel.see(re.compile(r"Downloading: 100\skB of 2\d\d\skB"))
        value = float(page.get_by_role("progressbar").get_attribute("value") or 0)
        assert 0 < value < 60
        picture("progress")
        kiosk.server.go_on.set()

        panel.verdict("Restart to protect acme-kiosk")
        expect(panel.group("Still exposed")).to_contain_text("viewer.py")
        if not javascript:
            panel.open("Restart & Install")
        expect(panel.sheet).to_contain_text("Restart to install 26.3.1 (a)?")
        expect(panel.sheet).to_contain_text("viewer.py")
        expect(panel.sheet).to_contain_text("starts again")
        picture("restart")
        panel.close("Later")
        assert kiosk.demo.viewer()[0] == pid
        picture("later")
        panel.open("Restart & Install")
        panel.press("Restart & Install")  # permitted by the passcode of the installation

        panel.verdict("acme-kiosk is protected")
        pid, version = kiosk.demo.viewer(before=pid)
        assert version == "1.3.2"
        in_force = panel.group("In force")
        expect(in_force).to_contain_text("26.3.1 (a)")
        expect(in_force).to_contain_text("Fixed")
        expect(panel.group("History")).to_contain_text("26.3.1 (a) came into force")
        panel.finished()
        picture("protected")

        panel.open("Remove")
        expect(panel.sheet).to_contain_text("This device will be exposed again to")
        expect(panel.sheet).to_contain_text("CVE-2023-4863")
        panel.give("the pictures look odd", "Reason (optional, kept in the history)")
        panel.give()
        picture("remove")
        panel.press("Remove")
        panel.verdict("acme-kiosk is not protected")
        expect(panel.group("Available")).to_contain_text("You removed this improvement")
        expect(panel.group("History")).to_contain_text("the pictures look odd")
        panel.finished()
        picture("removed")
        assert requests == []


def _picture_variants(chromium: Browser, served: Settings, pictures: Pictures) -> None:
    """The same state dark, narrow and in German, for the documentation."""
    wide, narrow = {"width": 960, "height": 860}, {"width": 380, "height": 860}
    variants: dict[str, dict[str, object]] = {
        "dark": {"color_scheme": "dark", "viewport": wide},
        "narrow": {"viewport": narrow},
        "german": {"locale": "de-DE", "viewport": wide},
    }
    for name, wanted in variants.items():
        with chromium.new_context(**{"locale": "en-US", **wanted}) as context:  # type: ignore[arg-type]
            page = context.new_page()
            page.goto(served.link())
            expect(page.locator("#verdict")).to_be_visible()
            page.screenshot(path=pictures(name))


def _switch_off_and_on(panel: Panel) -> None:
    switch = panel.page.get_by_role("switch", name="Automatically Install")
    assert switch.get_attribute("aria-checked") == "true"
    panel.open("Automatically Install", "switch")
    panel.choose_passcode()
    panel.press("Turn Off")
    panel.done()
    expect(switch).to_have_attribute("aria-checked", "false")
    panel.open("Automatically Install", "switch")
    panel.give()
    panel.press("Turn On")
    panel.done()
    expect(switch).to_have_attribute("aria-checked", "true")


def test_a_person_installs_and_removes_a_small_improvement(
    chromium: Browser, own_vendor_place: Place
) -> None:
    """The same steps on a small product, quick enough for every commit."""
    place = own_vendor_place
    place.vendor.release({"engine": {**FIXED, "lib/engine.so": big(3, 300_000)}})
    enroll(place)
    with (
        settings(place.folder / "store") as served,
        chromium.new_context(locale="en-US") as context,
    ):
        page = context.new_page()
        requests = foreign_requests(page)
        panel = Panel(page)
        page.goto(served.link())
        panel.verdict("acme-kiosk is not protected")
        _switch_off_and_on(panel)
        panel.open("Install")
        panel.give("not the passcode")
        panel.press("Install")
        expect(panel.sheet.get_by_role("alert")).to_have_text("The passcode is incorrect.")
        panel.give()
        place.server.stall_after.append(100_000)
        panel.press("Install")
        panel.see(re.compile(r"Downloading: 100\skB of 3\d\d\skB"))
        value = float(page.get_by_role("progressbar").get_attribute("value") or 0)
        assert 0 < value < 60
        place.server.go_on.set()
        panel.verdict("Restart to protect acme-kiosk")
        panel.close("Later")
        panel.open("Restart & Install")
        panel.press("Restart & Install")
        panel.verdict("acme-kiosk is protected")
        expect(panel.group("In force")).to_contain_text("Fixed")
        panel.open("Remove")
        expect(panel.sheet).to_contain_text("This device will be exposed again to:")
        panel.give("it looks odd", "Reason (optional, kept in the history)")
        panel.give()
        panel.press("Remove")
        panel.verdict("acme-kiosk is not protected")
        expect(panel.group("Available")).to_contain_text("You removed this improvement")
        expect(panel.group("History")).to_contain_text("it looks odd")
        panel.finished()
        assert requests == []
