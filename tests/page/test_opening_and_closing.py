"""How a browser gets to the page, and how a page ends before another account can take its port."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from repoint.page.open_page import write_link_file
from tests.page.conftest import Fort
from tests.page.settings import settings
from tests.places import Place

LINK = "http://127.0.0.1:1/open/secret"


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """The private folder of a login session."""
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    return folder


def test_the_link_is_in_a_file_that_only_its_account_reads(runtime: Path) -> None:
    file = write_link_file(LINK, {"XDG_RUNTIME_DIR": str(runtime)})
    assert file is not None
    assert file.parent == runtime
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert LINK in file.read_text()
    assert write_link_file(LINK, {"XDG_RUNTIME_DIR": str(runtime)}) == file
    assert list(runtime.iterdir()) == [file]


@pytest.mark.parametrize("folder", ["", "runtime", "/nonexistent", "/tmp", "public", "link"])
def test_without_a_private_folder_no_file_is_written(
    tmp_path: Path, runtime: Path, folder: str
) -> None:
    (tmp_path / "public").mkdir(mode=0o755)
    (tmp_path / "link").symlink_to(runtime)
    place = str(tmp_path / folder) if folder in ("public", "link") else folder
    assert write_link_file(LINK, {"XDG_RUNTIME_DIR": place}) is None
    assert write_link_file(LINK, {}) is None
    assert list(runtime.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("javascript", [True, False])
def test_the_private_file_leads_a_browser_to_the_page(
    chromium: Browser, fort: Fort, runtime: Path, javascript: bool
) -> None:
    file = write_link_file(fort.served.link(), {"XDG_RUNTIME_DIR": str(runtime)})
    assert file is not None
    with chromium.new_context(java_script_enabled=javascript) as context:
        page = context.new_page()
        page.goto(file.as_uri())
        expect(page.locator("#verdict")).to_be_visible()
        page.go_back()
        page.goto(file.as_uri())
        expect(page.locator("h1")).to_have_text("This page is closed")  # it works once


@pytest.mark.slow
def test_a_page_that_is_not_used_loses_its_forms_and_sends_nothing(
    chromium: Browser, enrolled: Place
) -> None:
    with (
        settings(enrolled.folder / "store", idle=5) as served,
        chromium.new_context(locale="en-US") as context,
    ):
        page = context.new_page()
        page.clock.install()
        page.goto(served.link())
        expect(page.locator("#verdict")).to_be_visible()
        sheet = page.get_by_role("link", name="Install", exact=True)
        sheet.click()
        expect(page.locator(".sheet")).to_be_visible()
        requests: list[str] = []
        page.on("request", lambda request: requests.append(request.url))
        page.clock.fast_forward(6_000)
        expect(page.get_by_role("alert")).to_contain_text("closed because it was not used")
        assert page.locator("form, input, a, button").count() == 0
        assert page.url.endswith("/closed")
        page.clock.fast_forward(60_000)
        assert requests == []


@pytest.mark.slow
def test_without_javascript_a_page_that_is_not_used_leads_to_one_without_forms(
    chromium: Browser, enrolled: Place
) -> None:
    with (
        settings(enrolled.folder / "store", idle=4) as served,
        chromium.new_context(locale="en-US", java_script_enabled=False) as context,
    ):
        page = context.new_page()
        page.goto(served.link())
        expect(page.locator("#verdict")).to_be_visible()
        page.wait_for_url("**/closed")
        expect(page.locator(".command")).to_have_text("repoint settings")
        assert page.locator("form").count() == 0


@pytest.mark.slow
def test_a_page_whose_server_has_gone_loses_its_forms(chromium: Browser, enrolled: Place) -> None:
    with (
        settings(enrolled.folder / "store") as served,
        chromium.new_context(locale="en-US") as context,
    ):
        page = context.new_page()
        page.goto(served.link())
        expect(page.locator("#verdict")).to_be_visible()
        served.process.kill()
        served.process.wait()
        page.get_by_role("button", name="Check Now").click()
        expect(page.get_by_role("alert")).to_contain_text("repoint settings")
        assert page.locator("form, input, a, button").count() == 0
