"""A feed reader understands the Atom feed."""

from __future__ import annotations

import feedparser

from tests.publisher.feeds.support import ADDRESS, Told


def test_a_feed_reader_finds_every_improvement(told: Told) -> None:
    feed = feedparser.parse((told.folder / "atom.xml").read_bytes())
    assert not feed.bozo
    assert feed.version == "atom10"
    assert feed.feed.id == f"{ADDRESS}/security/"
    assert [entry.title.partition(": ")[0] for entry in feed.entries] == [
        "Paused", "Halted", "Acme <Kiosk> & Co 26.3.1 (b)", "Withdrawn",
    ]  # fmt: skip
    for entry, letter in zip(feed.entries, "dcba", strict=True):
        assert entry.id == entry.link
        assert entry.link.endswith(f"/improvements/{told.improvements[letter].id}.html")
        assert entry.author == "Acme Ltd"
        assert entry.updated >= entry.published
    assert [tag.term for tag in feed.entries[2].tags] == ["CVE-2026-1000"]


def test_text_from_outside_never_becomes_markup_in_a_feed_reader(told: Told) -> None:
    feed = feedparser.parse((told.folder / "atom.xml").read_bytes(), sanitize_html=False)
    content = feed.entries[2].content[0].value
    assert "&lt;img src=x onerror=alert(1)&gt;" in content
    assert "<img" not in content
    assert "Withdrawn: Breaks &lt;printing&gt;" in feed.entries[3].content[0].value
