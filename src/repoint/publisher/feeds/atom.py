"""The Atom feed: the latest improvements, for people and programs that follow a vendor."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from repoint.publisher.feeds.encoding import address, moment
from repoint.publisher.feeds.known.facts import Facts, KnownImprovement
from repoint.publisher.feeds.pages import Pages

FEED = "atom.xml"

_MOST = 100
"""Entries, so that the feed stays small; the page lists all."""

_NAMESPACE = "http://www.w3.org/2005/Atom"

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Source: https://www.w3.org/TR/xml/#charsets."""


def atom_file(facts: Facts, pages: Pages) -> dict[str, bytes]:
    """Return the feed, by path below ``security/``.

    Nothing, if the public address is unknown: the id of each entry is its address.
    """
    if not facts.address:
        return {}
    base = f"{facts.address}/security"
    feed = ET.Element("feed", xmlns=_NAMESPACE)
    _text(feed, "id", f"{base}/")
    _text(feed, "title", facts.title)
    _text(feed, "updated", moment(facts.changed))
    ET.SubElement(feed, "link", rel="self", type="application/atom+xml", href=f"{base}/{FEED}")
    ET.SubElement(feed, "link", rel="alternate", type="text/html", href=f"{base}/index.html")
    ET.SubElement(feed, "generator").text = "Repoint"
    for improvement in facts.improvements[:_MOST]:
        feed.append(_entry(improvement, base, pages))
    ET.indent(feed)
    return {FEED: ET.tostring(feed, encoding="utf-8", xml_declaration=True) + b"\n"}


def _entry(improvement: KnownImprovement, base: str, pages: Pages) -> ET.Element:
    url = f"{base}/{address(f'improvements/{improvement.id}.html')}"
    state = f"{improvement.state.capitalize()}: " if improvement.state != "offered" else ""
    entry = ET.Element("entry")
    _text(entry, "id", url)
    _text(entry, "title", f"{state}{improvement.full_title}: {improvement.own.title}")
    _text(entry, "published", moment(improvement.published))
    _text(entry, "updated", moment(improvement.changed))
    author = ET.SubElement(entry, "author")
    _text(author, "name", improvement.about.vendor or improvement.product_name)
    ET.SubElement(entry, "link", rel="alternate", type="text/html", href=url)
    for cve in improvement.own.cves():
        ET.SubElement(entry, "category", term=cve)
    _text(entry, "content", pages.entry(improvement)).set("type", "html")
    return entry


def _text(parent: ET.Element, name: str, text: str) -> ET.Element:
    child = ET.SubElement(parent, name)
    child.text = _NOT_XML.sub("\ufffd", text)
    return child
