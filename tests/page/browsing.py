"""A person at a browser: the real Chromium, on the real page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")

# A desktop's own font, where it is installed, so that pictures look as people know it.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern"><test name="family" qual="any"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>
"""


def find_chromium() -> str:
    """The browser. Without one the tests are skipped, but not in CI, which must have it."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        said = "the tests of the Settings page need a browser: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(said)
        pytest.skip(said)
    return found


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """The browser, until the end of the block; ``folder`` is for its configuration."""
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS)
    # The page must ask nobody but the machine itself; so no proxy is of use here.
    environment = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=find_chromium(),
            env={**environment, "FONTCONFIG_FILE": str(fonts)},
            args=["--no-proxy-server"],
        )
        yield started
        started.close()


def foreign_requests(page: Page) -> list[str]:
    """Collects, from now on, what a page asks of anybody but 127.0.0.1."""
    asked: list[str] = []

    def note(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "about:")):
            asked.append(url)

    page.on("request", lambda request: note(request.url))
    return asked
