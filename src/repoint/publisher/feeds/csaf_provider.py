"""What makes the advisories a CSAF distribution: who provides them, a ROLIE feed, and hashes."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import Any

from repoint.publisher.feeds.csaf import advisory, csaf_path, publisher_of
from repoint.publisher.feeds.encoding import address, encoded, moment
from repoint.publisher.feeds.known.facts import Facts, KnownImprovement
from repoint.publisher.feeds.known.vulnerabilities import Line, lines_of

PROVIDER = "csaf/provider-metadata.json"
FEED = "csaf/feed-tlp-white.json"

_SCHEMA = "https://docs.oasis-open.org/csaf/csaf/v2.0/csaf_json_schema.json"
_HASHES = ("sha256", "sha512")


def csaf_files(facts: Facts) -> dict[str, bytes]:
    """Return the advisories and what leads to them, by path below ``security/``.

    Nothing, if the public address is unknown: every document has to name it.
    """
    if not facts.address or not facts.products:
        return {}
    files: dict[str, bytes] = {}
    lines = lines_of(facts)
    for improvement in facts.improvements:
        path = csaf_path(improvement)
        files[path] = encoded(advisory(facts, improvement, lines[improvement.id]))
        for algorithm in _HASHES:
            digest = hashlib.new(algorithm, files[path]).hexdigest()
            files[f"{path}.{algorithm}"] = f"{digest}  {PurePosixPath(path).name}\n".encode()
    files[FEED] = encoded({"feed": _feed(facts, lines)})
    files[PROVIDER] = encoded(_provider(facts))
    return files


def _provider(facts: Facts) -> dict[str, Any]:
    about, product = facts.about, facts.products[0]
    return {
        "canonical_url": _url(facts, PROVIDER),
        "distributions": [
            {
                "rolie": {
                    "feeds": [
                        {
                            "summary": "All advisories",
                            "tlp_label": "WHITE",
                            "url": _url(facts, FEED),
                        }
                    ]
                }
            }
        ],
        "last_updated": moment(facts.changed),
        "list_on_CSAF_aggregators": True,
        "metadata_version": "2.0",
        "mirror_on_CSAF_aggregators": True,
        "publisher": publisher_of(facts, about, product.about.name or product.product),
        "role": "csaf_provider",
    }


def _feed(facts: Facts, lines: dict[str, Line]) -> dict[str, Any]:
    return {
        "id": "csaf-feed-tlp-white",
        "title": facts.title,
        "link": [{"rel": "self", "href": _url(facts, FEED)}],
        "category": [{"scheme": "urn:ietf:params:rolie:category:information-type", "term": "csaf"}],
        "updated": moment(facts.changed),
        "entry": [_entry(facts, each, lines[each.id]) for each in facts.improvements],
    }


def _entry(facts: Facts, improvement: KnownImprovement, line: Line) -> dict[str, Any]:
    url = _url(facts, csaf_path(improvement))
    return {
        "id": improvement.id,
        "title": f"{improvement.full_title}: {improvement.own.title}",
        "link": [
            {"rel": "self", "href": url},
            *({"rel": "hash", "href": f"{url}.{algorithm}"} for algorithm in _HASHES),
        ],
        "published": moment(improvement.published),
        "updated": moment(line.events(improvement)[-1][0]),
        "content": {"type": "application/json", "src": url},
        "format": {"schema": _SCHEMA, "version": "2.0"},
    }


def _url(facts: Facts, path: str) -> str:
    return f"{facts.address}/security/{address(path)}"
