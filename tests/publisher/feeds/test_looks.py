"""The pages are usable for everybody: light and dark, narrow and wide, on a screen and on paper."""

from __future__ import annotations

import pytest
from playwright.sync_api import Browser

from tests.page.browsing import foreign_requests
from tests.page.test_looks import NARROW, WIDE, Scheme, too_wide, violations
from tests.publisher.feeds.support import Told
from tests.serving import WebServer


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(chromium: Browser, told: Told, scheme: Scheme) -> None:
    server = WebServer(told.vendor.public)
    problems = {}
    try:
        with chromium.new_context(color_scheme=scheme) as context:
            page = context.new_page()
            requests = foreign_requests(page)
            for file in sorted(told.folder.rglob("*.html")):
                path = file.relative_to(told.vendor.public)
                page.goto(f"{server.url.rstrip('/')}/{path}")
                for size in (NARROW, WIDE):
                    page.set_viewport_size(size)
                    found = violations(page)
                    if too_wide(page):
                        found.append("the page scrolls sideways")
                    if found:
                        problems[f"{path}, {size['width']} pixels"] = found
            assert page.evaluate("document.scripts.length") == 0
    finally:
        server.close()
    assert problems == {}
    assert requests == []


def test_on_paper_the_ground_is_white_even_if_the_screen_is_dark(
    chromium: Browser, told: Told
) -> None:
    server = WebServer(told.vendor.public)
    try:
        with chromium.new_context(color_scheme="dark") as context:
            page = context.new_page()
            page.goto(f"{server.url.rstrip('/')}/security/index.html")
            page.emulate_media(media="print")
            style = "getComputedStyle(document.{}).{}".format
            assert (
                page.evaluate(style("documentElement", "backgroundColor")) == "rgb(255, 255, 255)"
            )
            assert page.evaluate(style("body", "color")) == "rgb(0, 0, 0)"
    finally:
        server.close()
