"""The page is usable for everybody: light and dark, narrow and wide, by keyboard, with a screen
reader, and in each language. It is small, and loads nothing from elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.page.browsing import foreign_requests
from tests.page.panel import Panel
from tests.page.settings import Settings, settings
from tests.places import MAPS_A_LIBRARY, Place

Scheme = Literal["light", "dark"]
NARROW = ViewportSize(width=360, height=740)
WIDE = ViewportSize(width=1280, height=900)

_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def violations(page: Page) -> list[str]:
    """Return what axe-core reports."""
    options = {"runOnly": {"type": "tag", "values": _TAGS}, "resultTypes": ["violations"]}
    report = Axe().run(page, options=options).response
    return [
        f"{violation['id']}: {node['html'][:120]}: {node.get('failureSummary', '')}"
        for violation in report["violations"]
        for node in violation["nodes"]
    ]


def too_wide(page: Page) -> bool:
    """Return whether the page scrolls sideways."""
    return bool(page.evaluate("document.documentElement.scrollWidth > innerWidth"))


@contextmanager
def opened(chromium: Browser, served: Settings, **context: object) -> Iterator[Panel]:
    # In the middle of an animation, colours and positions differ.
    still = {"locale": "en-US", "reduced_motion": "reduce"}
    with chromium.new_context(**{**still, **context}) as tab:  # type: ignore[arg-type]
        page = tab.new_page()
        page.goto(served.link())
        yield Panel(page)


@pytest.mark.parametrize(
    "looks",
    [
        pytest.param((("light", NARROW), ("dark", WIDE)), id="light-narrow and dark-wide"),
        pytest.param(
            (("dark", NARROW), ("light", WIDE)),
            id="dark-narrow and light-wide",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_axe_finds_nothing_in_any_state(
    chromium: Browser, enrolled: Place, looks: tuple[tuple[Scheme, ViewportSize], ...]
) -> None:
    enrolled.run(MAPS_A_LIBRARY, launched=True)
    with (
        settings(enrolled.folder / "store") as served,
        opened(chromium, served) as panel,
    ):
        problems: dict[str, list[str]] = {}

        def look(state: str) -> None:
            for scheme, size in looks:
                panel.page.emulate_media(color_scheme=scheme)
                panel.page.set_viewport_size(size)
                found = violations(panel.page)
                if too_wide(panel.page):
                    found.append("the page scrolls sideways")
                if found:
                    problems[f"{state}, {scheme}, {size['width']} pixels"] = found

        panel.verdict("acme-kiosk is not protected")
        panel.page.locator("summary").first.click()
        look("available")
        panel.open("Install")
        look("choose a passcode")
        panel.give("short", "Choose a passcode")
        panel.give("other", "Repeat the passcode")
        panel.sheet.locator("input").evaluate_all("all => all.forEach(i => i.minLength = 0)")
        panel.press("Install")
        expect(panel.sheet.get_by_role("alert")).to_be_visible()
        look("unfit passcode")
        panel.choose_passcode()
        panel.press("Install")
        expect(panel.sheet).to_contain_text("Restart to install")
        look("restart")
        panel.close("Later")
        look("staged, with an exposed program")
        enrolled.stop()
        panel.open("Restart & Install")
        panel.press("Restart & Install")
        panel.verdict("acme-kiosk is protected")
        look("protected")
        panel.open("Remove")
        look("remove")
        panel.give("wrong one")
        panel.press("Remove")
        expect(panel.sheet.get_by_role("alert")).to_be_visible()
        look("wrong passcode")
        panel.close()
        panel.page.goto(f"{panel.page.url}history")
        look("history")
        panel.page.goto(f"http://127.0.0.1:{served.port}/open/used")
        look("closed")
        assert problems == {}


@pytest.mark.slow
def test_everything_can_be_done_by_keyboard(chromium: Browser, served: Settings) -> None:
    with opened(chromium, served) as panel:
        page = panel.page

        def tab_to(name: str) -> None:
            for _ in range(40):
                page.keyboard.press("Tab")
                focused = page.evaluate(
                    "(e => e.getAttribute('aria-labelledby') ? 'switch' : e.textContent.trim())"
                    "(document.activeElement)"
                )
                if focused == name:
                    return
            raise AssertionError(f"Tab never reaches {name}")

        panel.verdict("acme-kiosk is not protected")
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
        tab_to("switch")
        page.keyboard.press("Space")
        expect(panel.sheet).to_be_visible()
        expect(panel.sheet.get_by_label("Choose a passcode")).to_be_focused()
        for _ in range(8):  # the focus stays in the sheet
            page.keyboard.press("Tab")
            assert page.evaluate("document.activeElement.closest('dialog, body').tagName")
        page.keyboard.press("Escape")
        expect(panel.sheet).to_have_count(0)
        expect(page.get_by_role("switch")).to_be_focused()
        tab_to("Install")
        page.keyboard.press("Enter")
        expect(panel.sheet.get_by_label("Choose a passcode")).to_be_focused()
        page.keyboard.type("let me through")
        page.keyboard.press("Tab")
        page.keyboard.type("let me through")
        page.keyboard.press("Enter")
        expect(panel.sheet).to_contain_text("Restart to install")
        tab_to("Restart & Install")
        page.keyboard.press("Enter")
        panel.verdict("acme-kiosk is protected")


@pytest.mark.slow
def test_a_screen_reader_announces_names_and_roles(chromium: Browser, served: Settings) -> None:
    with opened(chromium, served) as panel:
        expect(panel.page.locator("main")).to_match_aria_snapshot(
            """
            - heading "Background Security Improvements" [level=1]
            - region "acme-kiosk is not protected":
              - heading "acme-kiosk is not protected" [level=2]
            - region "Automatically Install":
              - switch "Automatically Install" [checked]
            - region "Available":
              - heading "A security update" [level=3]
              - link "Install"
            - region "In force"
            - region "History"
            """
        )


@pytest.mark.slow
def test_the_page_is_german_if_the_browser_prefers_it(chromium: Browser, served: Settings) -> None:
    with opened(chromium, served, locale="de-DE") as panel:
        panel.verdict("acme-kiosk ist nicht geschützt")
        assert panel.page.locator("html").get_attribute("lang") == "de"
        expect(panel.group("Verfügbar")).to_contain_text("zu laden")
        panel.open("Installieren")
        expect(panel.sheet).to_contain_text("26.3.1 (a) installieren?")
        assert violations(panel.page) == []


def test_the_page_is_small_and_loads_nothing_from_elsewhere(
    chromium: Browser, served: Settings
) -> None:
    with chromium.new_context() as context:
        page = context.new_page()
        requests = foreign_requests(page)
        weights: dict[str, int] = {}
        page.on("response", lambda answer: weights.update({answer.url: len(answer.body())})
                if answer.ok else None)  # fmt: skip
        page.goto(served.link(), wait_until="networkidle")
        assert requests == []
        assert len(weights) == 4  # the page, its look, its script and its icon
        assert sum(weights.values()) < 60_000


def test_a_refused_page_says_what_to_do(
    chromium: Browser, served: Settings, pictures: Callable[[str], Path]
) -> None:
    with chromium.new_context(viewport={"width": 960, "height": 560}) as context:
        page = context.new_page()
        page.goto(f"http://127.0.0.1:{served.port}/open/used")
        expect(page.locator("h1")).to_have_text("This page is closed")
        expect(page.locator(".command")).to_have_text("repoint settings")
        page.screenshot(path=pictures("closed"))
