"""What a person does on the page. The same steps work with JavaScript and without."""

from __future__ import annotations

import re
from dataclasses import dataclass

from playwright.sync_api import Locator, Page, expect

from tests.page.settings import PASSCODE

LONG = 60_000
"""Milliseconds until an expectation fails; enough for a busy machine."""


@dataclass
class Panel:
    page: Page

    @property
    def sheet(self) -> Locator:
        return self.page.locator(".sheet")

    def group(self, name: str) -> Locator:
        """Return the part of the panel with a heading."""
        return self.page.get_by_role("region", name=name, exact=True)

    def see(self, text: str | re.Pattern[str]) -> None:
        expect(self.page.get_by_text(text).first).to_be_visible()

    def verdict(self, text: str) -> None:
        """Expect a verdict."""
        expect(self.page.locator("#verdict")).to_have_text(text)

    def open(self, name: str, role: str = "link") -> None:
        """Open a sheet with a button of the panel."""
        button = self.page.get_by_role(role, name=name, exact=True)  # type: ignore[arg-type]
        button.first.click()
        expect(self.sheet).to_be_visible()

    def give(self, passcode: str = PASSCODE, label: str = "Passcode") -> None:
        self.sheet.get_by_label(label, exact=True).fill(passcode)

    def choose_passcode(self) -> None:
        self.give(PASSCODE, "Choose a passcode")
        self.give(PASSCODE, "Repeat the passcode")

    def press(self, name: str) -> None:
        self.sheet.get_by_role("button", name=name, exact=True).click()

    def close(self, name: str = "Cancel") -> None:
        self.sheet.get_by_role("link", name=name, exact=True).click()
        expect(self.sheet).to_have_count(0)

    def done(self) -> None:
        """Expect that the sheet has closed, because the change was accepted."""
        expect(self.sheet).to_have_count(0)

    def finished(self) -> None:
        """Expect that no job runs any more."""
        expect(self.page.locator("#job-title")).to_have_count(0)
