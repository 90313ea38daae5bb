"""The pages are valid, escaped HTML without script, and say what was signed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from justhtml import JustHTML

import repoint
from tests.publisher.feeds.support import Told

SOURCE = Path(repoint.__file__).parent


def text_of(page: Path) -> str:
    return " ".join(str(JustHTML(page.read_text()).to_text()).split())


def pages(told: Told) -> list[Path]:
    return sorted(told.folder.rglob("*.html"))


def test_there_is_a_page_by_date_and_one_for_each_improvement(told: Told) -> None:
    assert len(pages(told)) == 5
    index = text_of(told.folder / "index.html")
    labels = re.findall(r"26\.3\.1 \([a-d]\)", index)
    assert labels == [f"26.3.1 ({letter})" for letter in "dcba"]  # the latest first
    assert "Acme <Kiosk> & Co" in index
    assert "14 November 2023" in index


def test_every_page_is_valid_html(told: Told) -> None:
    for page in pages(told):
        assert JustHTML(page.read_text(), strict=True).errors == []


def test_text_from_outside_never_becomes_markup(told: Told) -> None:
    for page in pages(told):
        html = page.read_text()
        assert "<script" not in html
        assert "<img" not in html
        assert "<b>" not in html
        assert " on" not in "".join(re.findall(r"<[^>]*>", html))
        assert "default-src 'none'" in html
    said = text_of(told.page("b"))
    assert "<script>alert(1)</script> shell" in said
    assert "Jane <b>Doe</b> of Example Labs" in said
    assert r"\uffff \u2800 &amp;" in said  # what is invisible or no character is shown


def test_each_state_is_shown_with_its_reason(told: Told) -> None:
    index = text_of(told.folder / "index.html")
    for badge in ("Withdrawn", "Attacks were seen", "Halted", "Paused"):
        assert index.count(badge) == 1
    assert "The vendor has withdrawn 26.3.1 (a): Breaks <printing>" in text_of(told.page("a"))
    assert "26.3.1 (b) is offered." in text_of(told.page("a"))
    assert "The vendor has halted 26.3.1 (c): Fails on 3 % of devices" in text_of(told.page("c"))
    assert "Paused. The vendor has paused 26.3.1 (d)." in text_of(told.page("d"))
    assert "The vendor has" not in text_of(told.page("b"))


def test_a_page_has_the_fixes_of_its_letter_and_of_those_that_it_contains(told: Told) -> None:
    own, _, inherited = text_of(told.page("b")).partition("Also fixed, as in 26.3.1 (a)")
    assert "CVE-2026-1000" in own
    assert "CVE-2023-4863" not in own
    assert "CVE-2023-4863" in inherited
    assert "The programs that use it have to restart." in own
    assert "The <engine>" in inherited
    assert "Help: https://help.acme.example" in inherited
    assert "The vendor: security@acme.example" in inherited


def test_every_link_within_leads_to_a_file(told: Told) -> None:
    for page in pages(told):
        for link in re.findall(r'(?:href|src)="([^"]*)"', page.read_text()):
            parts = urlsplit(link.replace("&amp;", "&"))
            if parts.scheme in ("https", "mailto") or not parts.path:
                continue
            assert (page.parent / unquote(parts.path)).is_file(), (page.name, link)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_colours_are_those_of_the_settings_page(scheme: str) -> None:
    def colours(path: str) -> dict[str, str]:
        blocks = re.findall(r":root \{(.*?)\}", (SOURCE / path).read_text(), re.DOTALL)
        block = blocks[("light", "dark").index(scheme)]
        return dict(re.findall(r"(--[\w-]+): ([^;]+);", block))

    settings = colours("page/views/assets/page.css")
    shared = colours("publisher/feeds/assets/security.css")
    assert {name: settings[name] for name in shared} == shared
