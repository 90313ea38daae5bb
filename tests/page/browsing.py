"""The browser of the tests: the real Chromium, on the real page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")

# The font of a desktop, if it is installed, so that the pictures look familiar.
_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <match target="pattern"><test name="family" qual="any"><string>sans-serif</string></test>
    <edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit></match>
</fontconfig>
"""


def find_chromium() -> str:
    """Return the browser's path. Without a browser the tests are skipped, except in CI."""
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    if found is None:
        message = "the tests of the Settings page need a browser: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(message)
        pytest.skip(message)
    return found


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """Run the browser until the end of the block; ``folder`` holds its configuration."""
    fonts = folder / "fonts.conf"
    fonts.write_text(_FONTS)
    # The page talks to this machine only, so a proxy is never right.
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
    """Return a list that collects the requests of a page to anything but 127.0.0.1."""
    requests: list[str] = []

    def note(url: str) -> None:
        if not url.startswith(("http://127.0.0.1:", "data:", "about:")):
            requests.append(url)

    page.on("request", lambda request: note(request.url))
    return requests
