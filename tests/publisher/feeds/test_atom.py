"""A feed reader understands the Atom feed."""

from __future__ import annotations

from pathlib import Path

import feedparser

from repoint.model.baseline import BaselineName
from repoint.model.rollout import ALL, Step
from tests.publisher.feeds.support import ABOUT, ADDRESS, Told, serve_at
from tests.world import OLD, Vendor


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


def test_the_feed_and_what_looks_alike_in_it_are_told_apart(tmp_path: Path) -> None:
    vendor = Vendor(tmp_path)
    for platform in ("linux-x86_64", "linux-aarch64"):
        name = BaselineName(platform, "26.3.1", "25D2128")
        vendor.baseline({"engine": OLD}, name=name, about=ABOUT)
        vendor.release(name=name)
    vendor.publisher.retire(vendor.product, name, reason="Its support has ended")
    serve_at(vendor, ADDRESS)
    told = Told(vendor)
    feed = feedparser.parse((told.folder / "atom.xml").read_bytes())
    assert feed.feed.title == "Acme <Kiosk> & Co: Background Security Improvements"
    assert sorted(entry.title for entry in feed.entries) == [
        f"Acme <Kiosk> & Co 26.3.1 (a) for linux-{machine}: A security update"
        for machine in ("aarch64", "x86_64")
    ]
    (page,) = told.folder.glob("improvements/*aarch64*.html")
    assert "gets no further improvements: " in page.read_text()
    assert "Its support has ended" in page.read_text()
    index = (told.folder / "index.html").read_text()
    assert index.count("(retired)") == 1
    assert "1 fix, 1 CVE id" in index


def test_what_arrives_in_steps_is_told_to_do_so(vendor: Vendor) -> None:
    serve_at(vendor, ADDRESS)
    vendor.improve()
    vendor.publisher.publish(
        vendor.product, steps=(Step(after=0, share=10_000), Step(after=3600, share=ALL))
    )
    told = Told(vendor)
    said = "Devices get it in steps, so one may have to wait for its turn."
    assert said in told.page("a").read_text()
