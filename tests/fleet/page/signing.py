"""Signing in with a browser."""

from __future__ import annotations

from playwright.sync_api import Page

from tests.fleet.page.served import PASSWORD, Served


def sign_in(tab: Page, page: Served, name: str = "anna") -> None:
    """Sign in, and wait for the page of the product."""
    tab.goto(f"{page.url}/")
    tab.locator("#name").fill(name)
    tab.locator("#password").fill(PASSWORD)
    tab.keyboard.press("Enter")
    tab.locator("#verdict").wait_for()
