"""What people read on the page: names, dates, who did it, and what to do next."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ViewportSize, expect

from repoint.device.store.records import Actor
from repoint.model.advisory import Advisory, Fix
from repoint.model.baseline import About
from repoint.page.views.rendering import outside
from tests.page.conftest import enroll
from tests.page.panel import Panel
from tests.page.settings import Client, set_test_passcode, settings
from tests.places import Place
from tests.serving import WebServer
from tests.world import FIXED, Vendor, big

ABOUT = About(
    "Acme Kiosk", "Acme Displays GmbH", "https://acme.example/security",
    support="help@acme.example", components={"engine": "The <web> engine"},
)  # fmt: skip
ICON = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0\0\0\x20" * 2
MANY = tuple(f"CVE-2024-{10_000 + number}" for number in range(60))
ADVISORY = Advisory(
    title="A title that is long enough to wrap on every screen, wide or narrow, and in each language",
    fixes=(
        Fix(cves=MANY, component="engine", impact="Sixty ways in " + "w" * 120,
            description="First.\nSecond.", url="https://acme.example/1"),
        Fix(cves=MANY[:4], component="engine", impact="Opening a page may crash", description="x"),
        Fix(cves=(), component="engine", impact="No number", description="x"),
    ),
)  # fmt: skip


@pytest.fixture
def named(tmp_path: Path) -> Iterator[Place]:
    """A device whose product has a name for people, and whose vendor the test controls."""
    vendor = Vendor(tmp_path / "vendor")
    vendor.baseline(about=ABOUT, icon=ICON)
    vendor.release(texts=ADVISORY)
    server = WebServer(vendor.public)
    place = Place(tmp_path / "device", server, vendor)
    place.put()
    enroll(place)
    set_test_passcode(place.folder / "store")
    yield place
    place.stop()
    server.close()


@contextmanager
def shown(place: Place) -> Iterator[str]:
    """The text of the panel, without markup."""
    with settings(place.folder / "store") as served:
        html = Client.entered(served).send("GET", "/product/acme-kiosk/")[1]
        yield re.sub(
            r"\s+", " ", re.sub(r"<[^>]*>", " ", re.sub(r"</?bdi[^>]*>|</?a\b[^>]*>", "", html))
        )


@pytest.mark.slow
def test_the_product_its_vendor_and_its_contact_have_names(named: Place) -> None:
    with shown(named) as text:
        assert "Acme Kiosk is not protected" in text
        assert "Made by Acme Displays GmbH" in text
        assert "Contact: https://acme.example/security" in text
        assert "published" in text
        assert "Next check" in text
        assert "No running program uses replaced code" not in text


def test_an_address_for_help_and_the_name_of_a_component_are_shown(named: Place) -> None:
    with settings(named.folder / "store") as served:
        html = Client.entered(served).send("GET", "/product/acme-kiosk/")[1]
    assert 'Help: <a href="mailto:help@acme.example"' in html
    assert "The &lt;web&gt; engine" in html


def test_the_icon_of_the_product_is_shown_to_those_who_opened_the_page(named: Place) -> None:
    with settings(named.folder / "store") as served:
        client = Client.entered(served)
        assert (
            '<img class="appicon" src="icon" alt=""'
            in client.send("GET", "/product/acme-kiosk/")[1]
        )
        assert client.send("GET", "/product/acme-kiosk/icon")[0].status == 200
        client.cookie = ""
        assert client.send("GET", "/product/acme-kiosk/icon")[0].status != 200


@pytest.mark.slow
def test_the_history_says_who_did_it(named: Place) -> None:
    named.device.acting(Actor("person", "alice")).install(None, user_initiated=True)
    with shown(named) as text:
        assert re.search(r"was prepared .* by alice", text)
    named.device.acting(Actor("automatic")).restart(None)
    with shown(named) as text:
        assert re.search(r"came into force .* automatically", text)


def test_a_fix_that_two_letters_name_is_shown_once(named: Place) -> None:
    again = Fix(cves=MANY[:4], component="engine", impact="In newer words", description="x")
    more = Fix(cves=("CVE-2024-2222",), component="engine", impact="Another", description="x")
    files = {"engine": {**FIXED, "lib/engine.so": big(3, 5000)}}
    named.vendor.release(files, texts=Advisory(title="Second", fixes=(again, more)))
    named.device.check(None)
    with shown(named) as text:
        assert text.count("In newer words") == 1
        assert "Opening a page may crash" not in text
        assert text.count("Another") == 1


@pytest.mark.slow
def test_a_withdrawn_improvement_is_no_dead_end(named: Place) -> None:
    named.update()
    named.vendor.withdraw("a", "it crashes")
    named.device.check(None)
    with shown(named) as text:
        assert "has withdrawn this improvement: it crashes" in text
        assert "If it causes trouble, remove it." in text
        assert text.count("Contact:") == 2
    named.device.remove(None, why="it crashes")
    with shown(named) as text:
        assert "Not fixed here: CVE-2024-10000" in text
        assert "Wait for the next improvement" in text
        assert text.count("Contact:") == 2


def test_learn_more_leads_to_the_vendors_address(named: Place) -> None:
    with settings(named.folder / "store") as served:
        _, html = Client.entered(served).send("GET", "/product/acme-kiosk/")
    link = re.search(r"<a ([^>]*)>Learn more</a>", html)
    assert link is not None
    assert 'href="https://acme.example/1"' in link[1]
    assert "noreferrer" in link[1]
    assert html.count("Learn more") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "<bdi>plain</bdi>"),
        ("<b>&", "<bdi>&lt;b&gt;&amp;</bdi>"),
        ("\u202egpj.exe", r"<bdi>\u202egpj.exe</bdi>"),
        ("a\x1b[2Jb\x07", r"<bdi>a\x1b[2Jb\x07</bdi>"),
        ("two\nlines", "<bdi>two\nlines</bdi>"),
        ("\u05e9\u05dc\u05d5\u05dd", "<bdi>\u05e9\u05dc\u05d5\u05dd</bdi>"),
        ("zero\u200bwidth", r"<bdi>zero\u200bwidth</bdi>"),
    ],
)
def test_text_from_outside_is_isolated_and_filtered(text: str, expected: str) -> None:
    assert outside(text) == expected


@pytest.mark.slow
@pytest.mark.parametrize("language", ["en-US", "de-DE"])
@pytest.mark.parametrize("width", [320, 380, 560, 960])
def test_nothing_overlaps_or_breaks_inside_a_label(
    chromium: Browser, named: Place, language: str, width: int
) -> None:
    size = ViewportSize(width=width, height=800)
    with (
        settings(named.folder / "store") as served,
        chromium.new_context(locale=language, viewport=size, reduced_motion="reduce") as context,
    ):
        page = context.new_page()
        page.goto(served.link())
        panel = Panel(page)
        page.locator("summary").evaluate_all("all => all.forEach(s => s.parentNode.open = true)")
        too_wide = "document.documentElement.scrollWidth > innerWidth"
        assert not page.evaluate(too_wide)
        first = page.locator(".fix .meta > span").first
        expect(first).to_be_visible()
        # The separators follow what they separate, so that no line begins with one.
        before = "all => all.map(e => getComputedStyle(e, '::before').content)"
        assert set(page.locator(".meta > *").evaluate_all(before)) == {"none"}
        panel.open("Install" if language == "en-US" else "Installieren")
        lines = "all => all.map(e => e.getBoundingClientRect().height / parseFloat(getComputedStyle(e).lineHeight))"
        heights = page.locator(".facts dt").evaluate_all(lines)
        assert len(heights) == 4
        assert max(heights) < 1.5
        assert not page.evaluate("document.querySelector('dialog').scrollWidth > innerWidth")
