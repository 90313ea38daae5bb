"""The fleet page is usable for everybody: light and dark, narrow and wide, without JavaScript, and in
each language. It loads nothing from elsewhere. Its pictures are those of the documentation."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from repoint.fleet.page.i18n import CATALOGUE
from repoint.fleet.page.vendor import VendorSide
from repoint.fleet.stores.opening import open_state
from tests.fleet.page.conftest import World
from tests.fleet.page.served import Client, Served, served
from tests.fleet.page.signing import sign_in
from tests.fleet.page.vendor_world import PRODUCT, A, B
from tests.page.browsing import foreign_requests
from tests.page.test_looks import too_wide, violations
from tests.world import no_passphrase

NARROW = ViewportSize(width=360, height=740)
WIDE = ViewportSize(width=1280, height=900)
LOOKS = [("light", WIDE), ("dark", WIDE), ("light", NARROW), ("dark", NARROW)]


@dataclasses.dataclass
class Eyes:
    """Looks at a page in each way, and collects what is wrong."""

    tab: Page
    problems: dict[str, list[str]] = dataclasses.field(default_factory=dict)

    def look(self, state: str) -> None:
        for scheme, size in LOOKS:
            self.tab.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            self.tab.set_viewport_size(size)
            self.tab.wait_for_timeout(50)
            found = violations(self.tab)
            if too_wide(self.tab):
                found.append("the page scrolls sideways")
            if found:
                self.problems[f"{state}, {scheme}, {size['width']} pixels"] = found


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en-US", "de-DE"])
def test_axe_finds_nothing_in_any_state(chromium: Browser, page: Served, locale: str) -> None:
    with chromium.new_context(locale=locale) as context:
        tab = context.new_page()
        eyes = Eyes(tab)
        tab.goto(f"{page.url}/")
        eyes.look("sign in")
        tab.locator("#name").fill("anna")
        tab.locator("#password").fill("wrong")
        tab.keyboard.press("Enter")
        expect(tab.get_by_role("alert")).to_be_visible()
        eyes.look("wrong password")
        sign_in(tab, page)
        eyes.look("a rollout")
        for summary in tab.locator("details.data summary").all():
            summary.click()
        tab.locator("details.person summary").click()
        eyes.look("tables and menu")
        tab.keyboard.press("Escape")
        tab.set_viewport_size(WIDE)
        for action in ("pause", "promote", "halt"):
            tab.locator(f'a[href^="{action}?"]').first.click()
            expect(tab.locator("dialog .sheet")).to_be_visible()
            eyes.look(action)
            if action != "halt":
                tab.locator("dialog [data-close]").click()
        tab.set_viewport_size(WIDE)
        tab.locator("dialog input[name=reason]").fill("It fails")
        tab.locator("dialog .buttons button").click()
        expect(tab.locator(".badge.bad").first).to_be_visible()
        eyes.look("halted")
        home = tab.url.partition("product/")[0]
        device = page.page.fleet.failures(PRODUCT)
        assert device
        for path in ("audit", "find?id=x", f"find?id={'0' * 32}", "product/none/"):
            tab.goto(f"{home}{path}")
            eyes.look(path)
        assert eyes.problems == {}


def test_the_page_is_german_if_the_browser_prefers_it(chromium: Browser, page: Served) -> None:
    with chromium.new_context(locale="de-DE") as context:
        tab = context.new_page()
        sign_in(tab, page)
        assert tab.locator("html").get_attribute("lang") == "de"
        expect(tab.locator("#verdict")).to_have_text(f"{B} wird verteilt")


def test_both_languages_have_the_same_texts_with_the_same_places() -> None:
    def flat(table: dict[str, object], prefix: str = "") -> dict[str, str]:
        found: dict[str, str] = {}
        for name, value in table.items():
            found |= (
                flat(value, f"{prefix}{name}.")
                if isinstance(value, dict)
                else {f"{prefix}{name}": str(value)}
            )
        return found

    english, german = (
        flat(tomllib.loads((CATALOGUE / f"{each}.toml").read_text())) for each in ("en", "de")
    )
    assert english.keys() == german.keys()
    for key, text in english.items():
        assert set(re.findall(r"{\w+}", text)) == set(re.findall(r"{\w+}", german[key])), key


def test_without_javascript_everything_is_there(chromium: Browser, page: Served) -> None:
    with chromium.new_context(java_script_enabled=False, locale="en-US") as context:
        tab = context.new_page()
        sign_in(tab, page)
        tab.locator("#adoption summary").click()
        table = tab.locator("#adoption table")
        expect(table).to_be_visible()
        expect(table.locator("thead th")).to_have_text(["Time", B, A, "26.3.1"])
        assert table.locator("tbody tr").count() > 50
        tab.get_by_role("link", name="Halt").first.click()
        tab.get_by_label("Reason").fill("It fails its health check")
        tab.get_by_role("button", name="Halt").click()
        expect(tab.locator("#verdict")).to_contain_text(f"{B} is halted on linux-")
        expect(tab.locator(".events")).to_contain_text("anna")


def test_the_charts_are_drawn_from_the_tables_and_nothing_comes_from_elsewhere(
    chromium: Browser, page: Served
) -> None:
    with chromium.new_context(locale="en-US") as context:
        tab = context.new_page()
        requests = foreign_requests(tab)
        troubles: list[str] = []
        tab.on("console", lambda message: troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        sign_in(tab, page)
        tab.locator("#adoption .uplot canvas").wait_for()
        assert tab.locator("canvas").count() == 4
        inked = """canvas => {
            const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
            return data.some((value, place) => place % 4 === 3 && value > 0);
        }"""
        assert all(canvas.evaluate(inked) for canvas in tab.locator("canvas").all())
        # The values under the pointer are those of the table.
        plot = tab.locator("#adoption .u-over")
        plot.scroll_into_view_if_needed()
        box = plot.bounding_box()
        assert box is not None
        tab.mouse.move(box["x"] + box["width"] - 1, box["y"] + 20)
        last = tab.locator("#adoption tbody tr").first.locator("td")
        shown = tab.locator("#adoption .legend .value")
        assert shown.all_text_contents() == last.all_text_contents()
        expect(tab.locator("#adoption .tip")).to_be_visible()
        tab.get_by_role("link", name="Pause").first.click()
        tab.get_by_role("button", name="Pause").click()
        expect(tab.locator("#verdict")).to_have_text(f"{B} is paused on linux-x86_64")
        expect(tab.locator("canvas")).to_have_count(4)  # drawn again
        assert requests == []
        assert troubles == []


@pytest.mark.slow
def test_a_rollout_is_halted_by_keyboard(chromium: Browser, page: Served) -> None:
    with chromium.new_context(locale="en-US") as context:
        tab = context.new_page()
        sign_in(tab, page)
        tab.keyboard.press("Tab")
        expect(tab.get_by_role("link", name="Skip to content")).to_be_focused()
        for _ in range(40):
            tab.keyboard.press("Tab")
            if tab.evaluate("document.activeElement.textContent.trim()") == "Halt":
                break
        tab.keyboard.press("Enter")
        expect(tab.get_by_label("Reason")).to_be_focused()
        tab.keyboard.type("It fails")
        tab.keyboard.press("Enter")
        expect(tab.locator("#verdict")).to_contain_text(f"{B} is halted on linux-")


@pytest.mark.slow
def test_a_rollout_from_a_first_look_to_a_halt(
    chromium: Browser, page: Served, world: World, pictures: Callable[[str], Path]
) -> None:
    with chromium.new_context(
        locale="en-US", viewport={"width": 1280, "height": 820}, reduced_motion="reduce"
    ) as context:
        tab = context.new_page()
        tab.goto(f"{page.url}/")
        tab.set_viewport_size({"width": 960, "height": 600})
        tab.screenshot(path=pictures("sign-in"))
        tab.set_viewport_size({"width": 1280, "height": 820})
        sign_in(tab, page)
        tab.locator("#exposure canvas").wait_for()
        tab.evaluate("document.activeElement.blur()")
        tab.screenshot(path=pictures("product"), full_page=True)
        tab.emulate_media(color_scheme="dark")
        tab.wait_for_timeout(200)
        tab.screenshot(path=pictures("dark"))
        tab.emulate_media(color_scheme="light")
        tab.set_viewport_size({"width": 390, "height": 844})
        tab.wait_for_timeout(200)
        tab.screenshot(path=pictures("narrow"))
        tab.set_viewport_size({"width": 1280, "height": 820})
        with chromium.new_context(locale="de-DE", viewport={"width": 1280, "height": 820}) as other:
            german = other.new_page()
            sign_in(german, page)
            german.locator("#exposure canvas").wait_for()
            german.screenshot(path=pictures("german"))
        arm = tab.get_by_role("article", name=f"{B} linux-aarch64")
        with chromium.new_context(
            locale="en-US", viewport={"width": 1280, "height": 820}, reduced_motion="reduce"
        ) as other:
            late = other.new_page()
            sign_in(late, page, "ben")
            late.get_by_role("article", name=f"{B} linux-aarch64").get_by_role(
                "link", name="Promote"
            ).click()
            expect(late.locator("dialog")).to_be_visible()
            arm.get_by_role("link", name="Halt").click()
            tab.get_by_label("Reason").fill("Devices on ARM fail their health check")
            tab.screenshot(path=pictures("halt"))
            tab.get_by_role("button", name="Halt").click()
            expect(tab.locator("#verdict")).to_contain_text(f"{B} is halted on linux-")
            tab.wait_for_timeout(200)
            tab.evaluate("scrollTo(0, 0)")
            tab.screenshot(path=pictures("halted"))
            late.get_by_role("button", name="Promote").click()
            alert = late.locator("dialog").get_by_role("alert")
            expect(alert).to_contain_text("Somebody was faster")
            expect(alert).to_contain_text("anna halted")
            late.wait_for_timeout(400)
            late.screenshot(path=pictures("changed"))
            expect(late.get_by_role("button", name="Promote")).to_have_count(0)
        for name in (f"{PRODUCT}.catalog.pem",):
            (world.repository.path / "keys" / name).rename(world.folder / name)
        vendor = VendorSide(world.repository, no_passphrase, page.page.clock)
        with served(world.fleet, world.folder, vendor) as without_key:
            sign_in(tab, without_key)
            intel = tab.get_by_role("article", name=f"{B} linux-x86_64")
            expect(intel.get_by_role("button", name="Pause")).to_be_disabled()
            expect(intel).to_contain_text("cannot be read")
            intel.scroll_into_view_if_needed()
            intel.screenshot(path=pictures("no-key"))


def test_a_viewer_without_products_sees_what_to_do(world: World, tmp_path: Path) -> None:
    empty = open_state(f"sqlite:///{tmp_path}/empty.db")
    with served(empty, world.folder) as page:
        assert "Reports appear here" in Client.entered(page.port).get("")
    empty.close()


def test_what_nobody_has_reported_or_changed_yet_has_no_section(
    world: World, tmp_path: Path
) -> None:
    empty = open_state(f"sqlite:///{tmp_path}/empty.db")
    with served(empty, world.folder, world.vendor) as page:
        text = Client.entered(page.port).get(f"product/{PRODUCT}/")
    empty.close()
    assert "No device has reported yet" in text or f"{B} is reaching devices" in text
    assert 'id="rollouts-title"' in text
    for section in ("adoption", "exposure", "failures", "audit"):
        assert f'id="{section}-title"' not in text
    assert 'class="tiles"' not in text
